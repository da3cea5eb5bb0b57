// Clients of the operator's gateway; tests/clients/run.py starts it and says where it is.

import OpenAI from "openai";

/** One a provider, as the operator's file names them. */
export const CHAT_MODELS = ["gpt-4o-mini", "claude-4", "gemini-2.0-flash"];

/** Where the operator's clients find it, through Traefik and not, with OpenAI's /v1 and without. */
export const PATHS = ["/ai-api/v1", "/ai-api", "/v1", ""];

/** Without a second try, so that a test sees the first answer. */
export function connect(options = {}, path = "/ai-api/v1") {
  const { GATEWAY, GATEWAY_KEY } = process.env;
  return new OpenAI({ apiKey: GATEWAY_KEY, baseURL: GATEWAY + path, maxRetries: 0, timeout: 30_000, ...options });
}

export const client = connect();

export function user(content) {
  return [{ role: "user", content }];
}
