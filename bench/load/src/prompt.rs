//! The bodies that clients send.

use serde_json::{Value, json};

use crate::scenario::Prompt;

/// With what texts of people have: quotes, line ends, a tab, a backslash, letters beyond ASCII, an emoji.
const PARAGRAPHS: [&str; 4] = [
    "The harbour's tide tables were first kept by hand. \"Nobody trusted them,\" wrote the pilot in 1874, \"until they \
     had been right for a year.\" Each line has the hour, the height in feet and a remark about wind.\n",
    "| station | high water | height |\n|---|---|---|\n| Brest | 04:12 | 6,9 m |\n| Cuxhaven | 11:38 | 3,4 m |\n\
     Die Werte gelten für ruhiges Wetter; bei Sturm aus Nordwest sind es bis zu 80 cm mehr.\n",
    "```rust\nfn height(hours: f64) -> f64 {\n\t3.0 + 2.4 * (hours / 12.42 * std::f64::consts::TAU).cos()\n}\n```\n\
     It's a first guess; the path C:\\tides\\brest.csv has the measured values.\n",
    "Сизигийный прилив выше обычного. 大潮のときは港の入口に注意してください 🌊 and mind the sill at low water.\n",
];

/// The body of a call in OpenAI's words.
pub(crate) fn body(prompt: Prompt, model: &str, stream: bool) -> Vec<u8> {
    let body = match prompt {
        Prompt::Embedding => json!({"model": model, "input": "How high is the tide in Brest today?"}),
        Prompt::Small => chat(
            model,
            stream,
            &[
                json!({"role": "system", "content": "You are a helpful assistant."}),
                json!({"role": "user", "content": "Why are there two high tides a day? Answer in two sentences."}),
            ],
        ),
        Prompt::Conversation(bytes) => chat(model, stream, &conversation(bytes)),
    };
    body.to_string().into_bytes()
}

fn chat(model: &str, stream: bool, messages: &[Value]) -> Value {
    let mut body = json!({"model": model, "messages": messages, "max_tokens": 256, "temperature": 0.7});
    if stream && let Some(body) = body.as_object_mut() {
        body.insert("stream".to_owned(), json!(true));
        body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    body
}

/// Turns of user and assistant, ending with the user's, whose texts are about that long in JSON.
fn conversation(bytes: usize) -> Vec<Value> {
    let mut messages = vec![json!({"role": "system", "content": "You know all about tides."})];
    let mut written = 0;
    for turn in 0.. {
        let role = if turn % 2 == 0 { "user" } else { "assistant" };
        // Documents are pasted by users; answers are shorter.
        let paragraphs = if turn % 2 == 0 { 24 } else { 6 };
        let content: String = PARAGRAPHS.iter().cycle().skip(turn).take(paragraphs).copied().collect();
        let message = json!({"role": role, "content": content});
        written += message.to_string().len();
        messages.push(message);
        if written >= bytes && role == "user" {
            break;
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_as_long_as_asked_and_ends_with_the_user() {
        for bytes in [100_000, 400_000] {
            let body = body(Prompt::Conversation(bytes), "m", false);
            assert!(body.len() >= bytes && body.len() < bytes + 12_000, "{}", body.len());
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["messages"].as_array().unwrap().last().unwrap()["role"], "user");
        }
    }

    #[test]
    fn a_stream_asks_for_its_usage() {
        let body: Value = serde_json::from_slice(&body(Prompt::Small, "m", true)).unwrap();
        assert_eq!((&body["stream"], &body["stream_options"]["include_usage"]), (&json!(true), &json!(true)));
    }
}
