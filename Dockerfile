# AI-API in a container: docker build -t ai-api .
#
# config/examples/homestack/docker-compose.yml shows it behind Traefik.

# Bookworm here and Debian 12 below: the same libc.
FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY . .
# Downloads and what was compiled stay in BuildKit's cache; the binary is copied out of it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    make build && cp target/release/ai-api /ai-api

# Distroless: libc, libgcc, the certificates of public CAs, a user without rights, and no shell to break into.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /ai-api /usr/local/bin/ai-api
# Plugins mounted or copied into /app/plugins are served and watched, where neither `--plugins` nor the configuration
# names another folder and none is at /app/plugins.d. The gateway only reads there: a read-only volume will do.
WORKDIR /app/plugins
# A configuration mounted at /app/config.yml is found by itself. The user (65532) has to be able to read it.
WORKDIR /app
# Compose files written for LiteLLM's image have no command and no PORT, and expect 10200 of the operator's set-up;
# `docker run -e PORT=4000` or `--port 4000` says otherwise. Compiled plugins are kept in the container's /tmp:
# with a read-only root, mount a tmpfs or a volume there, else each start compiles them again (some seconds).
ENV HOST=0.0.0.0 \
    PORT=10200 \
    AI_API_CACHE_DIR=/tmp/ai-api
EXPOSE 10200
# The binary asks itself, on $PORT: there is no curl in here.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 CMD ["/usr/local/bin/ai-api", "health"]
ENTRYPOINT ["/usr/local/bin/ai-api"]
