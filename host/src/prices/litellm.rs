//! What calls cost by LiteLLM's own arithmetic: 350 of them, worked out once.

use super::*;
use crate::canonical::AnswerView;
use crate::money::Money;
use crate::usage::Usage;

/// The usages of `litellm.tsv`, as a canonical answer has them.
const USAGES: [(&str, &str); 10] = [
    ("plain", r#""prompt_tokens":1000,"completion_tokens":500"#),
    ("cached", r#""prompt_tokens":1000,"completion_tokens":500,"prompt_tokens_details":{"cached_tokens":800}"#),
    (
        "written",
        r#""prompt_tokens":1000,"completion_tokens":500,"prompt_tokens_details":{"cached_tokens":100,
           "cache_creation_tokens":800,"cache_creation_token_details":{"ephemeral_5m_input_tokens":600,
           "ephemeral_1h_input_tokens":200}}"#,
    ),
    (
        "reasoning",
        r#""prompt_tokens":1000,"completion_tokens":500,"completion_tokens_details":{"reasoning_tokens":300}"#,
    ),
    (
        "audio",
        r#""prompt_tokens":1000,"completion_tokens":500,"prompt_tokens_details":{"audio_tokens":100},
           "completion_tokens_details":{"audio_tokens":50}"#,
    ),
    (
        "picture",
        r#""prompt_tokens":1000,"completion_tokens":500,"prompt_tokens_details":{"image_tokens":300},
           "completion_tokens_details":{"image_tokens":200}"#,
    ),
    ("long", r#""prompt_tokens":300000,"completion_tokens":1000,"prompt_tokens_details":{"cached_tokens":50000}"#),
    ("threshold", r#""prompt_tokens":200000,"completion_tokens":1000"#),
    (
        "all",
        r#""prompt_tokens":150000,"completion_tokens":2000,"prompt_tokens_details":{"cached_tokens":40000,
           "cache_creation_tokens":10000,"audio_tokens":500,"image_tokens":700},
           "completion_tokens_details":{"reasoning_tokens":900,"audio_tokens":30}"#,
    ),
    ("embedding", r#""prompt_tokens":1000,"completion_tokens":0"#),
];

fn usage(name: &str, tier: &str) -> Usage {
    let (_, json) = USAGES.iter().find(|(known, _)| *known == name).unwrap();
    let body = format!(r#"{{"usage":{{{json}}},"service_tier":"{tier}"}}"#);
    AnswerView::parse(body.as_bytes()).unwrap().usage().unwrap()
}

/// Where we differ, and why it is meant so.
fn differs(provider: &str) -> Option<&'static str> {
    match provider {
        // LiteLLM halves the price of what Fireworks' cache has where the table is silent; the table is all that is known
        // here, and the operator may say more.
        "fireworks_ai" => Some("a price that stands nowhere"),
        _ => None,
    }
}

#[test]
fn calls_cost_what_litellm_says_they_do() {
    let prices = Prices::default();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for line in include_str!("litellm.tsv").lines().filter(|line| !line.starts_with('#')) {
        let [provider, model, name, tier, input, output] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let (input, output): (f64, f64) = (input.parse().unwrap(), output.parse().unwrap());
        let price = prices.of(provider, model).unwrap_or_else(|| panic!("no price: {line}"));
        let Some(cost) = price.cost(&usage(name, tier)) else {
            wrong.push(format!("{line}: unknown"));
            continue;
        };
        // Theirs are floats; ours are exact to 10⁻¹² USD.
        let near = |ours: Money, theirs: f64| (ours.as_f64() - theirs).abs() <= 2e-12 + theirs * 1e-9;
        if !(near(cost.input, input) && near(cost.output, output)) && differs(provider).is_none() {
            wrong.push(format!("{line}: {} {}", cost.input, cost.output));
        }
        count += 1;
    }
    assert!(wrong.is_empty() && count > 300, "{count} calls, of which differ:\n{}", wrong.join("\n"));
}
