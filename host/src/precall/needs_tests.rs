use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::config::{Environment, Origin, load};

const OPERATIONS: [Operation; 4] =
    [Operation::ChatCompletions, Operation::Completions, Operation::Embeddings, Operation::ImagesGenerations];

fn body(json: &Json) -> RequestBody {
    RequestBody::parse(Bytes::from(json.to_string())).unwrap()
}

fn abilities(max_input_tokens: u64) -> Abilities {
    Abilities { max_input_tokens: Some(max_input_tokens), counted_exactly: true, ..Abilities::default() }
}

fn lacking(set: impl Fn(&mut Capabilities)) -> Abilities {
    let mut abilities = Abilities::default();
    set(&mut abilities.capabilities);
    abilities
}

fn message(content: &Json) -> Json {
    json!({"messages": [{"role": "user", "content": content}]})
}

#[test]
fn a_model_that_is_known_to_lack_something_is_not_asked_for_it() {
    let with = |key: &str, value: Json| json!({"messages": [], key: value});
    let vision = lacking(|can| can.vision = Some(false));
    let tools = lacking(|can| can.tools = Some(false));
    let schema = lacking(|can| can.schema = Some(false));
    let (pdf, audio) = (lacking(|can| can.pdf = Some(false)), lacking(|can| can.audio = Some(false)));
    for (request, lacking, what) in [
        (message(&json!([{"image_url": {"url": "x"}, "type": "image_url"}])), vision, Some("take pictures")),
        (message(&json!([{"type": "image_url", "image_url": "x"}])), vision, Some("take pictures")),
        (message(&json!([{"type": "text", "text": "image_url"}])), vision, None),
        (message(&json!("image_url")), vision, None),
        (message(&json!([{"type": "input_audio", "input_audio": {}}])), audio, Some("take sound")),
        (message(&json!([{"type": "file", "file": {}}])), pdf, Some("take documents")),
        (message(&json!([{"type": "file", "file": {}}])), vision, None),
        (with("tools", json!([{"type": "function"}])), tools, Some("call tools")),
        (with("functions", json!([{}])), tools, Some("call tools")),
        (with("tools", json!([])), tools, None),
        (with("tools", Json::Null), tools, None),
        (
            with("response_format", json!({"type": "json_schema", "json_schema": {}})),
            schema,
            Some("keep to a JSON schema"),
        ),
        (with("response_format", json!({"type": "json_object"})), schema, None),
        (with("response_format", json!("json_schema")), schema, None),
    ] {
        let parsed = body(&request);
        let needs = Needs::read(&parsed, Operation::ChatCompletions);
        assert_eq!(needs.suits(&lacking), what.map_or(Ok(()), |what| Err(Misfit::Lacks(what))), "{request}");
        assert_eq!(needs.suits(&Abilities::default()), Ok(()), "what isn't known is no reason: {request}");
    }
}

#[test]
fn a_prompt_fits_up_to_the_last_token() {
    let request = body(&message(&json!("hello world ".repeat(1000))));
    let needs = Needs::read(&request, Operation::ChatCompletions);
    let tokens = needs.tokens();
    assert!((2000..2020).contains(&tokens), "{tokens}");

    assert_eq!(needs.suits(&abilities(tokens)), Ok(()));
    let limit = tokens - 1;
    assert_eq!(needs.suits(&abilities(limit)), Err(Misfit::ContextWindow { tokens, limit }));
}

#[test]
fn a_model_with_another_tokenizer_has_a_tenth_of_grace() {
    let request = body(&message(&json!("hello world ".repeat(1000))));
    let needs = Needs::read(&request, Operation::ChatCompletions);
    let tokens = needs.tokens();
    let other = |limit| Abilities { counted_exactly: false, ..abilities(limit) };

    assert_eq!(needs.suits(&other(tokens * 100 / 109)), Ok(()));
    let limit = tokens * 100 / 112;
    assert_eq!(needs.suits(&other(limit)), Err(Misfit::ContextWindow { tokens, limit }));
}

#[test]
fn the_tokenizer_runs_only_where_the_length_doesnt_say() {
    let request = body(&message(&json!("hello world ".repeat(1000))));
    let needs = Needs::read(&request, Operation::ChatCompletions);

    assert_eq!(needs.suits(&abilities(1_000_000)), Ok(()));
    assert!(needs.prompt.get().is_none(), "the body wasn't read");
    assert_eq!(needs.suits(&abilities(20_000)), Ok(()));
    assert!(needs.prompt.get().is_some() && needs.counted.get().is_none(), "it was read, but not counted");
    assert!(needs.suits(&abilities(100)).is_err());
    assert!(needs.counted.get().is_some());
}

#[test]
fn a_long_prompt_is_counted_in_parts_and_a_hopeless_one_not_at_all() {
    let request = body(&message(&json!("hello world ".repeat(100_000))));
    let needs = Needs::read(&request, Operation::ChatCompletions);
    let limit = 1_000_000 / MOST_BYTES_PER_TOKEN;
    assert!(matches!(needs.suits(&abilities(limit)), Err(Misfit::ContextWindow { tokens, .. }) if tokens > limit));
    assert!(needs.counted.get().is_none());

    let tokens = needs.tokens();
    assert!((195_000..205_000).contains(&tokens), "{tokens}");
    assert_eq!(needs.suits(&abilities(190_000)), Ok(()), "a sample may be a little wrong");
    assert!(needs.suits(&abilities(150_000)).is_err());
}

#[test]
fn pictures_cost_the_same_whatever_their_size() {
    let picture = |detail| json!({"type": "image_url", "image_url": {"url": "a".repeat(100_000), "detail": detail}});
    for (detail, tokens) in [("low", PICTURE), ("auto", PICTURE), ("high", DETAILED_PICTURE)] {
        let request = body(&json!({"messages": [{"content": [picture(detail)]}]}));
        let needs = Needs::read(&request, Operation::ChatCompletions);
        assert_eq!(needs.tokens(), MESSAGE + tokens + ANSWER);
    }
}

#[test]
fn several_prompts_have_the_window_each() {
    let long = "hello world ".repeat(100);
    for (input, tokens) in [
        (json!("hello world"), 2),
        (json!(["hello", "hello world", ""]), 2),
        (json!([1, 2, 3]), 3),
        (json!([[1, 2, 3], [4]]), 3),
        (json!([]), 0),
        (json!([long, long]), 201),
    ] {
        let request = body(&json!({"input": input}));
        assert_eq!(Needs::read(&request, Operation::Embeddings).tokens(), tokens, "{input}");
    }
}

#[test]
fn what_cant_be_read_is_not_judged() {
    let text = format!(r#"{{"messages": [{{"content": "\ud800"}}, {{"content": "{}"}}]}}"#, "a".repeat(10_000));
    let request = RequestBody::parse(Bytes::from(text)).unwrap();
    let needs = Needs::read(&request, Operation::ChatCompletions);
    assert_eq!((needs.at_most(), needs.suits(&abilities(1))), (None, Ok(())));
}

fn deployment(provider: &str, model_info: &Json) -> Deployment {
    let loaded = load(Origin::BuiltIn, &Environment::default()).expect("what is built in is right");
    let mut deployment = loaded.config.deployments.first().expect("a model is built in").clone();
    deployment.provider = provider.to_owned();
    deployment.model_info = model_info.as_object().cloned().unwrap_or_default();
    deployment
}

#[test]
fn the_operators_word_wins_over_the_table() {
    let request = body(&message(&json!([{"type": "image_url", "image_url": "x"}])));
    let nothing = json!({});
    for (provider, model, info, fits) in [
        ("openai", "gpt-4o", &nothing, Ok(())),
        ("openai", "o3-mini", &nothing, Err(Misfit::Lacks("take pictures"))),
        ("openai", "o3-mini", &json!({"supports_vision": true}), Ok(())),
        ("openai", "gpt-4o", &json!({"supports_vision": false}), Err(Misfit::Lacks("take pictures"))),
        ("openai", "gpt-4o", &json!({"base_model": "openai/o3-mini"}), Err(Misfit::Lacks("take pictures"))),
        ("openai", "no-such-model", &nothing, Ok(())),
        ("nobody", "o3-mini", &nothing, Ok(())),
    ] {
        let needs = Needs::read(&request, Operation::ChatCompletions);
        let said = needs.fits(&deployment(provider, info), model, ModelTable::embedded());
        assert_eq!(said, fits, "{provider}/{model}, {info}");
    }
}

#[test]
fn the_window_is_the_operators_or_the_tables() {
    let request = body(&message(&json!("hello world ".repeat(300))));
    let needs = Needs::read(&request, Operation::ChatCompletions);
    let fits = |info| needs.fits(&deployment("openai", &info), "gpt-4o", ModelTable::embedded());

    assert!(matches!(fits(json!({"max_input_tokens": 500})), Err(Misfit::ContextWindow { tokens: 600.., limit: 500 })));
    assert_eq!(fits(json!({})), Ok(()));
}

/// What is meant, read in the simplest way.
fn naive(operation: Operation, request: &Json) -> Prompt {
    let length = |json: &Json| json.as_str().map_or(0, |text| text.len() as u64);
    let mut prompt = Prompt { whole: true, ..Prompt::default() };
    if operation != Operation::ChatCompletions {
        let input = match operation {
            Operation::Completions => &request["prompt"],
            Operation::Embeddings => &request["input"],
            _ => &Json::Null,
        };
        let list = input.as_array().map_or(std::slice::from_ref(input), Vec::as_slice);
        prompt.text_bytes = list.iter().map(length).max().unwrap_or_default();
        if let Some(list) = input.as_array() {
            let lists = list.iter().filter_map(Json::as_array).map(|ids| ids.len() as u64);
            let own = list.iter().filter(|id| id.is_u64()).count() as u64;
            prompt.other_tokens = lists.max().unwrap_or_default().max(own);
        }
        return prompt;
    }
    prompt.other_tokens = 3;
    for message in request["messages"].as_array().into_iter().flatten().filter_map(Json::as_object) {
        prompt.other_tokens += 3;
        for (key, value) in message {
            match (key.as_str(), value) {
                ("content", Json::Array(parts)) => parts.iter().for_each(|part| {
                    prompt.text_bytes += length(part) + length(&part["text"]) + length(&part["refusal"]);
                    match part["type"].as_str() {
                        Some("image_url" | "image" | "input_image") => {
                            prompt.pictures = true;
                            prompt.other_tokens += if part["image_url"]["detail"] == "high" { 765 } else { 85 };
                        }
                        Some("input_audio") => prompt.audio = true,
                        Some("file" | "document" | "input_file") => prompt.files = true,
                        _ => {}
                    }
                }),
                ("tool_calls", Json::Array(calls)) => calls.iter().for_each(|call| {
                    prompt.text_bytes += length(&call["function"]["name"]) + length(&call["function"]["arguments"]);
                }),
                ("tool_calls", _) => {}
                ("function_call", call) => prompt.text_bytes += length(&call["name"]) + length(&call["arguments"]),
                (key, value) => {
                    prompt.text_bytes += length(value);
                    prompt.other_tokens += u64::from(key == "name" && value.is_string());
                }
            }
        }
    }
    for key in ["tools", "functions"] {
        if request[key].as_array().is_some_and(|list| !list.is_empty()) {
            prompt.text_bytes += request[key].to_string().len() as u64;
            prompt.other_tokens += 9;
        }
    }
    prompt
}

/// JSON that is often nearly a request.
fn nearly_a_request() -> impl Strategy<Value = Json> {
    let words = prop::sample::select(vec![
        "text",
        "image_url",
        "input_audio",
        "file",
        "refusal",
        "high",
        "low",
        "user",
        "json_schema",
        "document",
        "ä\n\"",
    ]);
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        words.prop_map(Json::from),
        ".{0,20}".prop_map(Json::from),
    ];
    let keys = prop::sample::select(vec![
        "messages",
        "content",
        "role",
        "name",
        "type",
        "text",
        "image_url",
        "detail",
        "url",
        "tool_calls",
        "function",
        "function_call",
        "arguments",
        "tools",
        "functions",
        "prompt",
        "input",
        "refusal",
        "response_format",
        "other",
    ]);
    leaf.prop_recursive(6, 60, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::vec((keys.clone().prop_map(str::to_owned), inner), 0..6)
                .prop_map(|entries| Json::Object(entries.into_iter().collect())),
        ]
    })
}

/// A part, a message and a request whose values are nearly right.
fn request() -> impl Strategy<Value = Json> {
    let any = nearly_a_request().boxed();
    let kind = prop::sample::select(vec!["text", "image_url", "input_audio", "file", "other"]);
    let part = (kind, any.clone(), any.clone())
        .prop_map(|(kind, text, picture)| json!({"text": text, "image_url": picture, "type": kind}));
    let content =
        prop_oneof![any.clone(), prop::collection::vec(prop_oneof![part, any.clone()], 0..4).prop_map(Json::from)];
    let message = (content, any.clone(), any.clone(), any.clone()).prop_map(|(content, name, calls, role)| {
        json!({"content": content, "name": name, "tool_calls": [{"function": calls}], "role": role})
    });
    let messages = prop::collection::vec(prop_oneof![message, any.clone()], 0..4);
    (messages, any.clone(), any.clone(), any).prop_map(|(messages, tools, input, format)| {
        json!({"messages": messages, "tools": tools, "prompt": input, "input": input, "response_format": format})
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_request_is_read_as_it_is_meant(request in request()) {
        let parsed = body(&request);
        for operation in OPERATIONS {
            let prompt = Prompt { texts: 0, ..Prompt::read(&parsed, operation) };
            prop_assert_eq!(prompt, naive(operation, &request), "{:?}", operation);
        }
    }

    #[test]
    fn no_prompt_has_more_tokens_than_its_bounds(request in request()) {
        let parsed = body(&request);
        for operation in OPERATIONS {
            let needs = Needs::read(&parsed, operation);
            let (tokens, at_most) = (needs.tokens(), needs.at_most().unwrap());
            prop_assert!(tokens <= at_most, "{} > {}", tokens, at_most);
            prop_assert!(at_most <= parsed.bytes().len() as u64 * MOST_PER_BYTE);
        }
    }

    #[test]
    fn any_object_can_be_judged(json in nearly_a_request()) {
        let parsed = body(&json!({"messages": json, "tools": json, "prompt": json, "response_format": json}));
        let nothing = lacking(|can| *can = Capabilities {
            vision: Some(false), tools: Some(false), schema: Some(false), pdf: Some(false), audio: Some(false),
        });
        for operation in OPERATIONS {
            let needs = Needs::read(&parsed, operation);
            let _ = needs.suits(&Abilities { max_input_tokens: Some(1), ..nothing });
            let _ = (needs.estimate(), needs.wants_a_schema());
        }
    }
}
