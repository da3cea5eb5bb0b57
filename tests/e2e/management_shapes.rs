//! The answers of the routes of keys, users, teams and spend have the fields that LiteLLM's have, with their types.
//!
//! The table says what LiteLLM 1.109 answers with, as its pydantic models, its SQL and its own clients
//! (`litellm/proxy/client`) have it. Where this gateway differs on purpose stands in `management_differences.tsv`, with the
//! reason; what stands there and doesn't differ fails the test as well.

use std::collections::BTreeMap;

use ai_api_e2e::Answer;
use serde_json::{Value, json};

use crate::spend_routes::ledger::{Ledger, calls, day_of, days_ago, sqlite};

/// A route, the body that is posted to it, and fields with their types: `s`tring, `n`umber, `b`ool, `a`rray, `o`bject, and
/// with `?` perhaps null.
type Case = (&'static str, &'static str, Option<Value>, &'static str);

const KEY: &str = "token:s key_name:s key_alias:s? spend:n expires:s? models:a aliases:o config:o user_id:s? team_id:s? \
     max_parallel_requests:n? metadata:o tpm_limit:n? rpm_limit:n? max_budget:n? budget_duration:s? budget_reset_at:s? \
     permissions:o model_max_budget:o blocked:b? created_at:s created_by:s? updated_at:s allowed_routes:a organization_id:s?";
const GENERATED: &str = "key:s token:s key_name:s key_alias:s? expires:s? user_id:s? team_id:s? models:a aliases:o spend:n \
     max_budget:n? budget_duration:s? tpm_limit:n? rpm_limit:n? max_parallel_requests:n? metadata:o permissions:o \
     created_at:s updated_at:s";
const TEAM: &str = "team_id:s team_alias:s? models:a members_with_roles:a admins:a members:a spend:n max_budget:n? \
     budget_duration:s? tpm_limit:n? rpm_limit:n? blocked:b metadata:o? organization_id:s? created_at:s";
const ROW: &str = "request_id:s call_type:s api_key:s spend:n total_tokens:n prompt_tokens:n completion_tokens:n startTime:s \
     endTime:s completionStartTime:s? model:s model_id:s? model_group:s? custom_llm_provider:s? api_base:s? user:s? \
     metadata:o cache_hit:s? cache_key:s? request_tags:a team_id:s? organization_id:s? end_user:s? \
     requester_ip_address:s? session_id:s? status:s? request_duration_ms:n? litellm_call_id:s?";

fn cases(range: &str) -> Vec<(String, &'static str, Option<Value>, String)> {
    let post: [Case; 12] = [
        (
            "POST",
            "/user/new",
            Some(json!({"user_id": "ann", "user_email": "ann@example.com"})),
            "user_id:s key:s models:a spend:n max_budget:n? user_email:s? user_role:s?",
        ),
        ("POST", "/team/new", Some(json!({"team_id": "a", "team_alias": "team a"})), TEAM),
        (
            "POST",
            "/key/generate",
            Some(json!({"key": "sk-of-the-shapes-1", "user_id": "ann", "team_id": "a"})),
            GENERATED,
        ),
        ("POST", "/key/generate", Some(json!({"key": "sk-of-the-shapes-2", "key_alias": "two"})), GENERATED),
        ("POST", "/key/update", Some(json!({"key": "sk-of-the-shapes-1", "max_budget": 5})), "key:s max_budget:n"),
        ("POST", "/key/block", Some(json!({"key": "sk-of-the-shapes-2"})), "token:s blocked:b"),
        ("POST", "/key/unblock", Some(json!({"key": "sk-of-the-shapes-2"})), "token:s blocked:b"),
        ("POST", "/key/sk-of-the-shapes-2/regenerate", Some(json!({})), "key:s token:s key_name:s"),
        ("POST", "/user/update", Some(json!({"user_id": "ann", "max_budget": 9})), "user_id:s data:o"),
        (
            "POST",
            "/team/update",
            Some(json!({"team_id": "a", "max_budget": 9})),
            "team_id:s data:o data.team_id:s data.max_budget:n",
        ),
        (
            "POST",
            "/team/member_add",
            Some(json!({"team_id": "a", "member": {"role": "user", "user_id": "ann"}})),
            "team_id:s members_with_roles:a updated_users:a updated_team_memberships:a",
        ),
        (
            "POST",
            "/utils/token_counter",
            Some(json!({"model": "m", "prompt": "hi"})),
            "total_tokens:n request_model:s model_used:s tokenizer_type:s",
        ),
    ];
    let get: [(&str, &str); 29] = [
        (
            "/key/info?key=sk-of-the-shapes-1",
            "key:s info:o info.key_name:s info.spend:n info.models:a info.max_budget:n? info.expires:s? info.metadata:o",
        ),
        ("/key/list", "keys:a keys.0:s total_count:n current_page:n total_pages:n"),
        (
            "/key/list?return_full_object=true",
            "keys:a keys.0.token:s keys.0.spend:n keys.0.user_id:s? keys.0.team_id:s? keys.0.created_at:s",
        ),
        ("/key/aliases", "aliases:a"),
        (
            "/user/info?user_id=ann",
            "user_id:s user_info:o user_info.spend:n user_info.user_email:s? user_info.user_role:s? keys:a teams:a",
        ),
        ("/v2/user/info?user_id=ann", "user_id:s spend:n models:a teams:a"),
        (
            "/user/list",
            "users:a users.0.user_id:s users.0.user_email:s? users.0.user_role:s? users.0.teams:a total:n page:n page_size:n total_pages:n",
        ),
        (
            "/team/info?team_id=a",
            "team_id:s team_info:o team_info.spend:n team_info.models:a keys:a team_memberships:a",
        ),
        ("/team/list", "0.team_id:s 0.team_alias:s? 0.models:a 0.max_budget:n? 0.members_with_roles:a"),
        ("/v2/team/list", "teams:a teams.0.team_id:s total:n page:n page_size:n total_pages:n"),
        ("/spend/keys", "0.token:s 0.key_name:s 0.spend:n"),
        ("/spend/users", "0.user_id:s 0.spend:n"),
        ("/spend/tags", "0.individual_request_tag:s 0.log_count:n 0.total_spend:n"),
        ("/spend/logs?RANGE", "0.startTime:s 0.spend:n 0.users:o 0.models:o"),
        ("/spend/logs/v2?RANGE", "data:a total:n page:n page_size:n total_pages:n total_is_capped:b"),
        ("/spend/logs/session/ui?session_id=a%20session", "data:a total:n total_pages:n"),
        ("/global/spend", "spend:n max_budget:n"),
        ("/global/spend/logs", "0.date:s 0.spend:n"),
        ("/global/spend/keys", "0.api_key:s 0.key_alias:s? 0.key_name:s? 0.total_spend:n"),
        ("/global/spend/models", "0.model:s 0.total_spend:n"),
        (
            "/global/spend/teams",
            "daily_spend:a daily_spend.0.date:s teams:a total_spend_per_team:a total_spend_per_team.0.team_id:s total_spend_per_team.0.total_spend:n",
        ),
        ("/global/spend/provider?RANGE", "0.provider:s 0.spend:n"),
        (
            "/global/spend/tags?RANGE",
            "spend_per_tag:a spend_per_tag.0.name:s spend_per_tag.0.spend:n spend_per_tag.0.log_count:n",
        ),
        ("/global/spend/all_tag_names", "tag_names:a"),
        (
            "/global/spend/report?RANGE",
            "0.group_by_day:s 0.teams:a 0.teams.0.team_name:s 0.teams.0.total_spend:n 0.teams.0.metadata.0.model:s 0.teams.0.metadata.0.api_key:s 0.teams.0.metadata.0.spend:n 0.teams.0.metadata.0.total_tokens:n",
        ),
        (
            "/global/spend/report?group_by=api_key&RANGE",
            "0.api_key:s 0.total_cost:n 0.total_input_tokens:n 0.total_output_tokens:n 0.model_details.0.model:s 0.model_details.0.total_cost:n",
        ),
        (
            "/global/activity?RANGE",
            "daily_data:a daily_data.0.date:s daily_data.0.api_requests:n daily_data.0.total_tokens:n sum_api_requests:n sum_total_tokens:n",
        ),
        ("/global/activity/model?RANGE", "0.model:s 0.daily_data:a 0.sum_api_requests:n 0.sum_total_tokens:n"),
        (
            "/user/daily/activity?RANGE",
            "results:a results.0.date:s results.0.metrics.spend:n results.0.metrics.prompt_tokens:n results.0.metrics.api_requests:n results.0.breakdown.models:o results.0.breakdown.providers:o results.0.breakdown.api_keys:o results.0.breakdown.mcp_servers:o metadata.total_spend:n metadata.total_api_requests:n metadata.page:n metadata.total_pages:n metadata.has_more:b",
        ),
    ];
    let below = |prefix: &str, fields: &str| {
        fields.split_whitespace().map(|field| format!("{prefix}.{field}")).collect::<Vec<_>>().join(" ")
    };
    let mut all: Vec<(String, &'static str, Option<Value>, String)> = post
        .into_iter()
        .map(|(method, path, body, fields)| (path.to_owned(), method, body, fields.to_owned()))
        .collect();
    all.extend(get.map(|(path, fields)| (path.replace("RANGE", range), "GET", None, fields.to_owned())));
    // Of calls whose cost is known: it is null of others.
    all.push((format!("/spend/logs/v2?min_spend=0&{range}"), "GET", None, below("data.0", ROW)));
    all.push(("/key/list?return_full_object=1&key_alias=two".to_owned(), "GET", None, below("keys.0", KEY)));
    all.push((
        "/key/delete".to_owned(),
        "POST",
        Some(json!({"keys": ["sk-of-the-shapes-1"]})),
        "deleted_keys:a".to_owned(),
    ));
    all.push(("/global/spend/reset".to_owned(), "POST", Some(json!({})), "message:s status:s".to_owned()));
    all
}

/// What is at `path`, `a.0.b`.
fn at<'a>(answer: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(answer, |value, step| match step.parse::<usize>() {
        Ok(index) => value.get(index),
        Err(_) => value.get(step),
    })
}

fn kind(value: Option<&Value>) -> &'static str {
    match value {
        None => "nothing",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "b",
        Some(Value::Number(_)) => "n",
        Some(Value::String(_)) => "s",
        Some(Value::Array(_)) => "a",
        Some(Value::Object(_)) => "o",
    }
}

#[tokio::test]
async fn answers_have_litellms_fields_and_types_but_for_what_is_listed() {
    let ledger = Ledger::with(sqlite(), calls(60)).await;
    let client = ledger.gateway.client();
    let range = format!("start_date={}&end_date={}", day_of(days_ago(10)), day_of(days_ago(0)));
    let listed = include_str!("management_differences.tsv");
    let mut listed: BTreeMap<&str, &str> = listed
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once('\t').unwrap_or_else(|| panic!("no tab: {line}")))
        .collect();
    let mut wrong = Vec::new();
    for (path, method, body, fields) in cases(&range) {
        let answer: Answer = match &body {
            Some(body) => client.post(&path, body).await,
            None => client.get(&path).await,
        };
        let short = path.replace(&range, "").trim_end_matches(['?', '&']).to_owned();
        if answer.status != 200 {
            wrong.push(format!("{method} {short}: {} {}", answer.status, answer.text()));
            continue;
        }
        let answer = answer.json();
        for field in fields.split_whitespace() {
            let (name, wanted) = field.split_once(':').expect("a type");
            let found = kind(at(&answer, name));
            let fits = found == wanted.trim_end_matches('?') || (found == "null" && wanted.ends_with('?'));
            let is_listed = listed.remove(&*format!("{short} {name}")).is_some();
            if fits == is_listed {
                let how = if is_listed { "is listed and doesn't differ" } else { "differs" };
                wrong.push(format!("{short} {name}: LiteLLM {wanted}, here {found}: it {how}"));
            }
        }
    }
    wrong.extend(listed.keys().map(|case| format!("{case}: is listed, and is no case")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
