use std::sync::LazyLock;

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::money::Money;
use crate::usage::{Details, Image, Quality, Usage};

fn of(provider: &str, model: &str) -> ModelPrice {
    Prices::default().of(provider, model).unwrap_or_else(|| panic!("{provider}/{model} has no price"))
}

fn own(json: &str) -> ModelPrice {
    let mut price = ModelPrice::default();
    price.take(&serde_json::from_str::<object::Object<'_>>(json).unwrap().0);
    price
}

fn tokens(prompt_tokens: u64, completion_tokens: u64) -> Usage {
    Usage { prompt_tokens, completion_tokens, ..Usage::default() }
}

fn total(price: &ModelPrice, usage: &Usage) -> Option<String> {
    price.cost(usage).map(|cost| cost.total.to_string())
}

#[test]
fn every_row_of_the_table_that_is_compiled_in_can_be_found() {
    let mut decoder = flate2::bufread::MultiGzDecoder::new(&include_bytes!("../../../config/prices.gz")[..]);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut decoder, &mut text).unwrap();
    assert!(text.contains("MIT licence, Copyright (c) 2023 Berri AI"));
    let mut rows = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let [key, _, json] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(serde_json::from_str::<serde_json::Value>(json).unwrap().is_object(), "{line}");
        if rows % 17 == 0 {
            let mut found = false;
            let base = key.split('#').next().unwrap();
            PriceTable::embedded().rows(base, |row| {
                found |= match row.image {
                    Some(image) => key == format!("{base}#{image}"),
                    None => key == base,
                };
            });
            assert!(found, "{key}");
        }
        rows += 1;
    }
    assert!(rows > 4_000, "{rows}");
}

#[test]
fn a_model_is_found_by_its_provider_and_name_and_no_other() {
    let prices = Prices::default();
    for (provider, model, found) in [
        ("openai", "gpt-4o-mini", true),
        ("anthropic", "claude-sonnet-4-6", true),
        ("gemini", "gemini-2.5-flash", true),
        ("vertex_ai", "gemini-2.5-flash", true),
        ("azure", "gpt-4o", true),
        ("groq", "gpt-4o-mini", false),
        ("openai", "no-such-model", false),
        ("openai", "", false),
        ("", "", false),
    ] {
        assert_eq!(prices.of(provider, model).is_some(), found, "{provider}/{model}");
    }
    assert!(prices.of_base("my-vllm", "azure/gpt-4o").is_some() && prices.of_base("azure", "gpt-4o").is_some());
}

#[test]
fn what_has_no_price_has_no_cost_and_what_costs_nothing_costs_nothing() {
    let (unknown, free) = (own("{}"), own(r#"{"input_cost_per_token": 0, "output_cost_per_token": 0.0}"#));
    assert_eq!(unknown.cost(&tokens(1, 0)), None);
    assert_eq!(free.cost(&tokens(1, 1)).map(|cost| cost.total), Some(Money::ZERO));
    let half = own(r#"{"input_cost_per_token": "1e-06"}"#);
    assert_eq!(half.cost(&tokens(1, 1)), None, "the answer's price is unknown");
    assert_eq!(total(&half, &tokens(3, 0)).as_deref(), Some("0.000003"));
}

#[test]
fn pictures_without_a_price_or_tokens_to_go_by_cost_what_nobody_knows() {
    let picture = |tokens| Usage {
        completion_tokens: tokens,
        details: Details { images: 1, ..Details::default() },
        ..Usage::default()
    };
    let by_tokens = of("openai", "chatgpt-image-latest");
    assert_eq!(by_tokens.cost(&picture(0)), None);
    assert!(by_tokens.cost(&picture(100)).is_some_and(|cost| cost.total > Money::ZERO));
    let by_call = own(r#"{"input_cost_per_request": 0.5, "output_cost_per_token": 1}"#);
    assert_eq!(total(&by_call, &picture(0)).as_deref(), Some("0.5"));
    let free = own(r#"{"input_cost_per_token": 0, "output_cost_per_token": 0}"#);
    assert_eq!(total(&free, &picture(0)).as_deref(), Some("0"));
}

#[test]
fn free_is_only_what_has_no_rate_but_0() {
    for (price, is_free) in [
        (r#"{"input_cost_per_token": 0, "output_cost_per_token": 0.0}"#, true),
        (r#"{"input_cost_per_token": 0, "output_cost_per_token": 1e-9}"#, false),
        (r#"{"input_cost_per_token": 0, "output_cost_per_image": 0.1}"#, false),
        (r#"{"tiered_pricing": [{"range": [0, 9], "input_cost_per_token": 1}], "input_cost_per_token": 0}"#, false),
        ("{}", false),
    ] {
        assert_eq!(own(price).is_free(), is_free, "{price}");
    }
    assert!(!of("openai", "gpt-image-1").is_free() && !of("openai", "gpt-4o").is_free());
}

#[test]
fn a_long_prompt_costs_more_from_its_first_token_on() {
    let price =
        own(r#"{"input_cost_per_token": 1, "output_cost_per_token": 10, "input_cost_per_token_above_200k_tokens": 2,
            "output_cost_per_token_above_200k_tokens": 15, "cache_read_input_token_cost": 0.1,
            "cache_read_input_token_cost_above_200k_tokens": 0.2}"#);
    assert_eq!(total(&price, &tokens(200_000, 1)).as_deref(), Some("200010"));
    assert_eq!(total(&price, &tokens(200_001, 1)).as_deref(), Some("400017"));
    let cached = Usage { cache_read_tokens: 200_000, ..tokens(200_001, 0) };
    assert_eq!(total(&price, &cached).as_deref(), Some("40002"));
}

#[test]
fn a_tier_has_its_own_price_where_the_table_says_so() {
    let price = own(r#"{"input_cost_per_token": 2, "output_cost_per_token": 4, "input_cost_per_token_flex": 1,
            "input_cost_per_token_priority": 3, "output_cost_per_token_priority": 8}"#);
    let tier = |name| {
        let details = Details { tier: Tier::of(name), ..Details::default() };
        total(&price, &Usage { details, ..tokens(1, 1) }).unwrap()
    };
    assert_eq!(["default", "flex", "priority", "auto", "batch"].map(tier), ["6", "5", "11", "6", "6"]);
}

#[test]
fn a_list_of_ranges_bills_all_of_a_prompt_by_the_range_that_it_falls_into() {
    let price = own(r#"{"tiered_pricing": [
            {"range": [0, 100], "input_cost_per_token": 1, "output_cost_per_token": 2},
            {"range": [100, 1e3], "input_cost_per_token": 3, "output_cost_per_token": 4, "cache_read_input_token_cost": 1}]}"#);
    for (usage, expected) in [
        (tokens(100, 1), "102"),
        (tokens(101, 1), "307"),
        (tokens(5_000, 1), "15004"),
        (Usage { cache_read_tokens: 100, ..tokens(101, 0) }, "103"),
        (Usage { cache_read_tokens: 50, ..tokens(100, 0) }, "100"),
    ] {
        assert_eq!(total(&price, &usage).as_deref(), Some(expected), "{usage:?}");
    }
}

#[test]
fn a_picture_costs_what_its_size_and_quality_say() {
    let gpt = of("openai", "gpt-image-1");
    let picture = |quality, size| {
        let details = Details { images: 2, image: Image { size, quality }, ..Details::default() };
        total(&gpt, &Usage { details, ..Usage::default() }).unwrap()
    };
    assert_eq!(picture(Some(Quality::Low), Some((1024, 1024))), "0.022");
    assert_eq!(picture(Some(Quality::High), Some((1024, 1536))), "0.5");
    assert_eq!(picture(None, None), "0.334");
    // Billed by tokens where the provider says how many.
    let details = Details { images: 1, image_output_tokens: 1000, ..Details::default() };
    assert_eq!(total(&gpt, &Usage { details, ..tokens(10, 1000) }).as_deref(), Some("0.04005"));
}

#[test]
fn who_says_what_a_token_costs_has_said_it_of_all_tokens_like_it() {
    let listed = of("anthropic", "claude-sonnet-4-6");
    let mine = own(r#"{"input_cost_per_token": 0.000001}"#);
    let price = listed.clone().overridden(&mine);
    let cached = Usage { cache_read_tokens: 50, cache_write_tokens: 50, ..tokens(150, 0) };
    assert_eq!(total(&price, &cached).as_deref(), Some("0.00015"));
    assert_eq!(price.output(), listed.output());
    let cheaper = listed.clone().overridden(&own(r#"{"cache_read_input_token_cost": 0}"#));
    assert_eq!((cheaper.input(), cheaper.cache_read()), (listed.input(), Some(Decimal::ZERO)));
}

#[test]
fn time_is_billed_where_tokens_are_not() {
    let price = ModelPrice::default().overridden(&own(r#"{"input_cost_per_second": 0.001}"#));
    assert!(price.is_by_time());
    let details = Details { milliseconds: 2_500, ..Details::default() };
    assert_eq!(total(&price, &Usage { details, ..tokens(5, 5) }).as_deref(), Some("0.0025"));
}

#[test]
fn a_discount_comes_off_and_a_margin_on_top_of_the_rest() {
    let usd = |text: &str| text.parse::<Decimal>().unwrap();
    let adjustment = Adjustment { discount: usd("0.1"), margin: usd("0.5"), fee: "0.25".parse().unwrap() };
    let price = own(r#"{"input_cost_per_token": 1, "output_cost_per_token": 1}"#).adjusted(adjustment);
    let cost = price.cost(&tokens(5, 5)).unwrap();
    let shown = [cost.original(), cost.discount, cost.margin, cost.total].map(|money| money.to_string());
    assert_eq!(shown, ["10", "1", "4.75", "13.75"]);
}

#[test]
fn a_newer_table_goes_before_and_the_old_one_stays_behind_it() {
    let newer = PriceTable::parse(
        r#"{"sample_spec": {"input_cost_per_token": "a number"},
            "gpt-4o-mini": {"litellm_provider": "openai", "input_cost_per_token": 7, "output_cost_per_token": 1,
                "tiered_pricing": null},
            "low/1024-x-1024/my-image": {"litellm_provider": "openai", "input_cost_per_image": 0.5},
            "openai/brand-new": {"litellm_provider": "openai", "mode": "chat", "tiered_pricing": [
                {"range": [0, 10],
                 "input_cost_per_token": 2}]}}"#,
    );
    let prices = Prices::new(Some(newer.unwrap()));
    assert_eq!(prices.of("openai", "gpt-4o-mini").unwrap().input(), Some(Decimal::from(7)));
    assert_eq!(prices.of("openai", "brand-new").unwrap().input(), Some(Decimal::from(2)));
    assert!(prices.of("openai", "gpt-4o").is_some() && prices.of("openai", "my-image").is_some());
}

#[test]
fn what_is_no_table_is_told() {
    for (json, says) in [
        ("", "no table"),
        ("[]", "no table"),
        ("{}", "no price in it"),
        (r#"{"m": 3}"#, "no table"),
        (r#"{"m": {"mode": "chat"}}"#, "no price in it"),
        (r#"{"m": {"input_cost_per_token": "free"}}"#, "'input_cost_per_token' of 'm'"),
        (r#"{"m": {"input_cost_per_token": -1}}"#, "'input_cost_per_token' of 'm'"),
    ] {
        let error = PriceTable::parse(json).unwrap_err().to_string();
        assert!(error.contains(says), "{json}: {error}");
    }
}

/// A table of one row with this key, which is found again if it is taken.
fn with_a_row(key: &str) {
    let json = serde_json::json!({key: {"litellm_provider": "p", "input_cost_per_token": 1}}).to_string();
    if let Ok(table) = PriceTable::parse(&json) {
        assert!(key.contains("-x-") || Prices::new(Some(table)).of("p", key).is_some(), "{key:?}");
    }
}

fn usage() -> impl Strategy<Value = Usage> {
    let count = || prop_oneof![0..10_u64, 0..500_000_u64];
    (proptest::array::uniform5(count()), proptest::array::uniform8(count())).prop_map(|(main, more)| Usage {
        prompt_tokens: main[0],
        completion_tokens: main[1],
        cache_read_tokens: main[2],
        cache_write_tokens: main[3],
        reasoning_tokens: main[4],
        details: Details {
            cache_write_1h_tokens: more[0],
            audio_input_tokens: more[1],
            audio_cached_tokens: more[2],
            audio_output_tokens: more[3],
            image_input_tokens: more[4],
            image_output_tokens: more[5],
            video_input_tokens: more[6],
            searches: more[7] % 10,
            ..Details::default()
        },
    })
}

proptest! {
    #[test]
    fn a_cost_is_the_sum_of_its_parts(usage in usage(), discount in 0..=100_u32, margin in 0..500_u32) {
        let share = |percent: u32| Decimal::from(percent) / Decimal::ONE_HUNDRED;
        let adjustment = Adjustment { discount: share(discount), margin: share(margin), fee: Money::from_pico(3) };
        static PRICE: LazyLock<ModelPrice> = LazyLock::new(|| of("gemini", "gemini-2.5-flash"));
        let cost = PRICE.clone().adjusted(adjustment).cost(&usage).unwrap();
        let parts = cost.input.saturating_add(cost.output).saturating_add(cost.tools);
        prop_assert_eq!(cost.total, parts.saturating_sub(cost.discount).saturating_add(cost.margin));
        prop_assert!(cost.total >= Money::ZERO && cost.discount <= parts);
    }

    #[test]
    fn more_of_anything_never_costs_less(usage in usage(), more in 0..1_000_u64) {
        static PRICES: LazyLock<[ModelPrice; 3]> = LazyLock::new(|| {
            [of("anthropic", "claude-sonnet-4-6"), of("gemini", "gemini-2.5-pro"), of("openai", "gpt-5")]
        });
        for price in &*PRICES {
            let cost = |usage: &Usage| price.cost(usage).unwrap().total;
            let before = cost(&usage);
            // What comes on top is text that no cache has.
            let longer = Usage { completion_tokens: usage.completion_tokens + more, ..usage };
            prop_assert!(cost(&longer) >= before);
            let room = Usage { prompt_tokens: usage.prompt_tokens.max(usage.cache_read_tokens + usage.cache_write_tokens), ..usage };
            let longer = Usage { prompt_tokens: room.prompt_tokens + more, ..room };
            prop_assert!(cost(&longer) >= cost(&room));
        }
    }

    #[test]
    fn no_text_makes_a_table_panic(text in "\\PC{0,80}") {
        let _ = PriceTable::parse(&text);
        with_a_row(&text);
    }
}
