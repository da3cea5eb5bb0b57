//! The page of `GET /router`: what its JSON says, as tables. No script, and nothing from elsewhere.

use std::fmt::Write;

use serde_json::Value;

const HEAD: &str = include_str!("router_head.html");

/// The page.
pub(super) fn page(view: &Value) -> String {
    let mut page = HEAD.to_owned();
    let strategy = text(view, "routing_strategy");
    let budget = view.get("retry_budget").unwrap_or(&Value::Null);
    // Writing to a text never fails, here and below.
    let _ = write!(
        page,
        "<p>Strategy <b>{}</b> · {} retries · retry budget {} % of calls and {} a second{}{}</p>",
        escaped(&strategy),
        escaped(&text(view, "num_retries")),
        escaped(&text(budget, "percent")),
        escaped(&text(budget, "min_per_second")),
        listed(" · everybody falls back to ", view.get("default_fallbacks")),
        if view.get("draining") == Some(&Value::Bool(true)) { " · <b class=bad>draining</b>" } else { "" },
    );
    for group in items(view, "groups") {
        write_group(&mut page, group);
    }
    page.push_str("</main></html>\n");
    page
}

fn write_group(page: &mut String, group: &Value) {
    let fallbacks = group.get("fallbacks").unwrap_or(&Value::Null);
    let _ = write!(
        page,
        "<h2>{}</h2><p>{} retries left in the budget{}{}{}{}</p>",
        escaped(&text(group, "model_group")),
        escaped(&text(group, "retry_budget")),
        listed(" · also called ", group.get("aliases")),
        listed(" · falls back to ", fallbacks.get("general")),
        listed(" · for longer prompts to ", fallbacks.get("context_window")),
        listed(" · for refused content to ", fallbacks.get("content_policy")),
    );
    page.push_str(
        "<table><tr><th>Deployment<th>State<th>In flight<th>Weight, order, tags<th>Succeeded<th>Failed<th>Latency\
         <th>This minute<th>USD per million tokens</tr>",
    );
    for deployment in items(group, "deployments") {
        write_deployment(page, deployment);
    }
    page.push_str("</table>");
}

fn write_deployment(page: &mut String, own: &Value) {
    let cells = [
        format!("<b>{}/{}</b><br><small>{}</small>{}", at(own, "provider"), at(own, "model"), at(own, "model_id"), {
            let told = [text(own, "retirement"), text(own, "succeeds")];
            let told = told.iter().filter(|told| !told.is_empty()).map(|told| escaped(told));
            told.map(|told| format!("<br><span class=warn>{told}</span>")).collect::<String>()
        }),
        state(own),
        with_limit(&text(own, "in_flight"), &text(own, "max_parallel_requests")),
        ranks(own),
        format!("{} of {}", at(own, "successes"), at(own, "attempts")),
        failures(own),
        latency(own),
        ["rpm", "tpm"].map(|key| used(own, key)).join("<br>"),
        price(own),
    ];
    page.push_str("<tr>");
    for cell in cells {
        let _ = write!(page, "<td>{cell}");
    }
    page.push_str("</tr>");
}

fn state(own: &Value) -> String {
    let state = text(own, "state");
    let class = match state.as_str() {
        "closed" => "good",
        "half_open" => "warn",
        _ => "bad",
    };
    let word = if state == "closed" { "serving" } else { &state };
    let mut cell = format!("<span class={class}>{}</span>", escaped(word));
    for (before, key, after) in [("", "because", ""), ("back in ", "back_in_seconds", " s")] {
        let told = at(own, key);
        if !told.is_empty() {
            let _ = write!(cell, "<br>{before}{told}{after}");
        }
    }
    if own.pointer("/probe/healthy") == Some(&Value::Bool(false)) {
        let kind = own.pointer("/probe/kind").and_then(Value::as_str).unwrap_or_default();
        let _ = write!(cell, "<br>last probe: {}", escaped(kind));
    }
    cell
}

fn ranks(own: &Value) -> String {
    let told = [("weight ", "weight"), ("order ", "order")].map(|(word, key)| (word, at(own, key)));
    let mut parts: Vec<String> =
        told.into_iter().filter(|(_, told)| !told.is_empty()).map(|(word, told)| format!("{word}{told}")).collect();
    parts.extend(items(own, "tags").iter().filter_map(Value::as_str).map(escaped));
    parts.join("<br>")
}

fn failures(own: &Value) -> String {
    let counts = own.get("failures").and_then(Value::as_object).into_iter().flatten();
    let mut parts: Vec<String> = counts.map(|(kind, count)| format!("{count} {}", escaped(kind))).collect();
    if let Some(last) = own.get("last_failure").filter(|last| !last.is_null()) {
        parts.push(format!("<small>last: {}, {} s ago</small>", at(last, "kind"), at(last, "seconds_ago")));
    }
    let cooldowns = at(own, "cooldowns");
    if cooldowns != "0" {
        parts.push(format!("<small>cooldowns: {cooldowns}</small>"));
    }
    parts.join("<br>")
}

fn latency(own: &Value) -> String {
    let told = [("seconds_per_token", "ms per token"), ("seconds_to_first_piece", "ms to the first piece")];
    let told = told.iter().filter_map(|(key, unit)| {
        let seconds = own.get(*key)?.as_f64()?;
        Some(format!("{:.1} {unit}", seconds * 1000.0))
    });
    told.collect::<Vec<_>>().join("<br>")
}

fn used(own: &Value, key: &str) -> String {
    let of = own.get(key).unwrap_or(&Value::Null);
    let what = if key == "rpm" { "calls" } else { "tokens" };
    format!("{what}: {}", with_limit(&text(of, "used"), &text(of, "limit")))
}

fn price(own: &Value) -> String {
    let dollars = |key: &str| own.pointer(&format!("/usd_per_token/{key}")).and_then(Value::as_f64);
    match (dollars("prompt"), dollars("answer")) {
        (Some(prompt), Some(answer)) => format!("{:.2} in<br>{:.2} out", prompt * 1e6, answer * 1e6),
        _ => String::new(),
    }
}

fn with_limit(used: &str, limit: &str) -> String {
    let used = escaped(used);
    if limit.is_empty() { used } else { format!("{used} of {}", escaped(limit)) }
}

fn listed(before: &str, list: Option<&Value>) -> String {
    let names: Vec<String> =
        list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(escaped).collect();
    if names.is_empty() { String::new() } else { format!("{before}<b>{}</b>", names.join("</b>, <b>")) }
}

fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A value's text, escaped; nothing for `null`.
fn at(value: &Value, key: &str) -> String {
    escaped(&text(value, key))
}

fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        // Whole ones as they are, others to a tenth.
        Some(Value::Number(number)) if number.is_f64() => {
            let tenths = (number.as_f64().unwrap_or_default() * 10.0).round() / 10.0;
            tenths.to_string()
        }
        Some(other) => other.to_string(),
    }
}

/// Names are the operator's, and may hold what HTML reads.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_html_would_read_is_escaped_and_numbers_are_short() {
        let own = json!({"name": "<b a='1'>&\"", "left": 599.9977, "whole": 2.0, "count": 7, "none": null});
        assert_eq!(at(&own, "name"), "&lt;b a=&#39;1&#39;&gt;&amp;&quot;");
        let shown = ["left", "whole", "count", "none", "missing"].map(|key| at(&own, key));
        assert_eq!(shown, ["600", "2", "7", "", ""]);
    }

    #[test]
    fn a_view_without_what_is_wanted_still_makes_a_page() {
        let page = page(&json!({"groups": [{"deployments": [{}, 7]}, null]}));
        assert!(page.ends_with("</main></html>\n"), "{page}");
    }
}
