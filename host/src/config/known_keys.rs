//! The tables of [`known`](super::known): one row for each fate, with the keys that meet it, between spaces.
//!
//! Keys and meanings are those of LiteLLM 1.109 (`types/router.py`, `proxy/_types.py`, its documentation).

use super::known::{Rows, Support};
use Support::{Honoured, NoEffect, NotYet, Python, Unguarded};

const PROMPT_ROUTERS: Support = NotYet("routers that read the prompt are not supported yet");
const BUDGETS: Support = Unguarded("budgets of tags, of end users and of users in general are not enforced");
const COSTS: Support = NotYet("nothing is billed in this way yet");
const MODELS_IN_DATABASE: Support = NotYet("models are in the configuration alone, not in the database");
const KEYS: Support =
    NotYet("what keys, users and teams have is in the default_…_params and upperbound_key_generate_params alone");
const CALLBACKS: Support = NotYet("there is nothing like this yet");
const CACHE: Support = NotYet("there is no response cache yet");
const ALERTS: Support = NotYet("there are no alerts yet");
const HEADERS: Support = NotYet("headers of clients are not forwarded yet");
const GUARDRAILS: Support = Unguarded("there are no guardrails yet");
const SIGN_IN: Support = NotYet("the master key and virtual keys are the only ways in so far");
const REDIS: Support = NotYet("each gateway probes for itself");
const CLOUD: Support = NotYet("this cloud's authentication is not supported yet");
const PRIVATE: Support = NoEffect("keys are never in logs and errors, messages only with log_raw_request_response");
const LATER: Support = NotYet("this is not supported yet");

/// The top level.
pub(super) const TOP: Rows = &[
    (
        Honoured(""),
        "model_list litellm_settings general_settings router_settings ai_api_settings environment_variables \
         include credential_list providers",
    ),
    (GUARDRAILS, "guardrails policies policy_attachments"),
    (Honoured("for otel, langfuse and generic_api"), "callback_settings"),
    (
        LATER,
        "prompts mcp_servers mcp_tools agents agent_list search_tools sandbox_tools files_settings \
         finetune_settings assistant_settings default_vertex_config worker_registry vector_store_registry",
    ),
];

/// An entry of `model_list`.
pub(super) const MODEL: Rows = &[(Honoured(""), "model_name litellm_params model_info")];

/// An entry of `credential_list`.
pub(super) const CREDENTIAL: Rows =
    &[(Honoured(""), "credential_name credential_values"), (NoEffect("it is a note for people"), "credential_info")];

/// AI-API's own section.
pub(super) const AI_API: Rows = &[(
    Honoured(""),
    "strict plugins plugin_limits client_limits health_checks max_metric_series redis_namespace model_cost_map",
)];

/// `litellm_params`. What is in no table is a default request parameter.
pub(super) const LITELLM_PARAMS: Rows = &[
    (
        Honoured(""),
        "model custom_llm_provider api_key api_base base_url weight timeout stream_timeout idle_timeout \
         max_stream_duration drop_params additional_drop_params extra_headers headers extra_body mock_response \
         litellm_credential_name strict order max_parallel_requests num_retries cooldown_time allowed_fails \
         allowed_fails_policy blocked",
    ),
    (
        Honoured(
            "a weight, unless one has a weight of its own; a limit with usage-based-routing or enforce_model_rate_limits",
        ),
        "rpm tpm",
    ),
    (Honoured("where num_retries is not set"), "max_retries"),
    (Honoured("with router_settings.enable_tag_filtering"), "tags"),
    (NotYet("what a provider lacks is refused, or left out with drop_params"), "allowed_openai_params"),
    (
        Honoured("for plugins whose requests are signed for AWS"),
        "aws_access_key_id aws_secret_access_key aws_session_token aws_region_name",
    ),
    (
        Honoured("for plugins that use a Google service account"),
        "vertex_credentials vertex_project vertex_location vertex_ai_credentials vertex_ai_project vertex_ai_location",
    ),
    (Honoured("for OpenAI-compatible providers, as the header OpenAI-Organization"), "organization"),
    (NotYet("only rpm and tpm are known as limits"), "itpm otpm rpd tpd daily_reset_time"),
    (
        NotYet("set rpm_limit and tpm_limit of the keys themselves"),
        "default_api_key_rpm_limit default_api_key_tpm_limit",
    ),
    (NotYet("set it in router_settings.model_group_retry_policy"), "retry_policy"),
    (
        NotYet("set them in router_settings, or in a request"),
        "fallbacks default_fallbacks context_window_fallbacks content_policy_fallbacks",
    ),
    (Honoured("above it the deployment gets no calls"), "max_budget budget_duration"),
    (GUARDRAILS, "guardrails"),
    (Honoured(""), "tiered_pricing search_context_cost_per_query"),
    (CACHE, "cache caching ttl"),
    (NotYet("clients can't bring keys and addresses of their own"), "configurable_clientside_auth_params"),
    (NotYet("Azure OpenAI is not supported yet"), "api_version azure_ad_token tenant_id client_id client_secret"),
    (CLOUD, "region_name s3_bucket_name gcs_bucket_name"),
    (PRIVATE, "no-log turn_off_message_logging"),
    (
        LATER,
        "merge_reasoning_content_in_choices keepalive_seconds use_in_pass_through use_litellm_proxy \
         use_chat_completions_api metadata mock_tool_calls mock_timeout litellm_trace_id model_info prompt_id \
         prompt_variables prompt_integration vector_store_id hf_model_name custom_prompt_dict preset_cache_key \
         litellm_system_prompt",
    ),
];

/// `litellm_params` that come in families.
pub(super) const LITELLM_PARAMS_BY_PREFIX: &[(&str, Support)] = &[
    ("aws_", CLOUD),
    ("vertex_", CLOUD),
    ("azure_", NotYet("Azure OpenAI is not supported yet")),
    ("watsonx_", CLOUD),
    ("oci_", CLOUD),
    ("auto_router_", PROMPT_ROUTERS),
    ("complexity_router_", PROMPT_ROUTERS),
    // Those that are known as prices were found before.
    ("input_cost_per_", COSTS),
    ("output_cost_per_", COSTS),
    ("cache_read_input_", COSTS),
    ("cache_creation_input_", COSTS),
];

/// `model_info`. What is in no table is kept to be shown.
pub(super) const MODEL_INFO: Rows = &[
    (
        Honoured(""),
        "id mode base_model max_tokens max_input_tokens max_output_tokens blocked allowed_fails allowed_fails_policy \
         cooldown_time",
    ),
    (Honoured(""), "tiered_pricing search_context_cost_per_query"),
    (Honoured(""), "access_groups"),
    (Unguarded("every key that may call the model may call it"), "team_id"),
    (Unguarded("the model is served all the same"), "supported_environments"),
    (Honoured(""), "disable_background_health_check health_check_model health_check_timeout"),
];

/// `general_settings`.
pub(super) const GENERAL: Rows = &[
    (
        Honoured(""),
        "master_key litellm_key_header_name max_request_size_mb max_response_size_mb always_include_stream_usage \
         dangerously_permit_weak_or_unset_master_key allow_requests_on_db_unavailable",
    ),
    (
        Honoured(""),
        "background_health_checks health_check_interval health_check_details health_check_concurrency \
         enable_health_check_routing",
    ),
    (
        Honoured(""),
        "database_url database_connection_pool_limit database_connection_timeout \
         disable_spend_logs disable_spend_updates disable_error_logs store_prompts_in_spend_logs \
         maximum_spend_logs_retention_period maximum_spend_logs_retention_interval",
    ),
    (
        NoEffect("set maximum_spend_logs_retention_interval instead, without it old logs are purged once a day"),
        "maximum_spend_logs_cleanup_cron",
    ),
    (NoEffect("the database is PostgreSQL or SQLite, by database_url"), "database_type database_args"),
    (NoEffect("spend is written within half a second, many calls at a time"), "proxy_batch_write_at"),
    (NoEffect("gateways never wait for each other's writes"), "use_redis_transaction_buffer"),
    (
        NoEffect("a budget begins anew at the moment that it should"),
        "proxy_budget_rescheduler_min_time proxy_budget_rescheduler_max_time",
    ),
    (NoEffect("a call is always cancelled when its client leaves"), "cancel_on_disconnect"),
    (
        NoEffect("all keys are in memory, and what changes is known within a second"),
        "user_api_key_cache_ttl user_api_key_cache_max_size enable_redis_auth_cache",
    ),
    (MODELS_IN_DATABASE, "store_model_in_db supported_db_objects infer_model_from_keys"),
    (
        Python,
        "custom_auth custom_key_generate custom_sso custom_ui_sso_sign_in_handler post_call_rules \
         custom_key_update",
    ),
    (
        Unguarded("callers are told apart by their keys alone: set models and allowed_routes of those"),
        "allowed_ips allowed_routes admin_only_routes enforced_params enforce_user_param \
         reject_clientside_metadata_tags role_permissions user_url_validation",
    ),
    (
        SIGN_IN,
        "enable_jwt_auth litellm_jwtauth enable_oauth2_auth enable_oauth2_proxy_auth oauth2_config_mappings \
         ui_access_mode litellm_license service_account_settings public_routes allow_user_auth \
         custom_auth_settings control_plane_url",
    ),
    (
        NotYet("calls go to the model that they name"),
        "completion_model embedding_model image_generation_model moderation_model",
    ),
    (
        Honoured(""),
        "max_parallel_requests global_max_parallel_requests max_in_flight_requests_per_worker \
         max_queued_requests_per_worker admission_queue_timeout_seconds",
    ),
    (ALERTS, "alerting alerting_threshold alert_types alerting_args alert_to_webhook_url spend_report_frequency"),
    (REDIS, "use_shared_health_check"),
    (
        NoEffect("a probe's result counts until the next one, and a rate limit never takes a deployment out"),
        "health_check_staleness_threshold health_check_ignore_transient_errors",
    ),
    (
        HEADERS,
        "forward_client_headers_to_llm_api forward_openai_org_id forward_llm_provider_auth_headers \
         add_user_information_to_llm_headers",
    ),
    (Honoured(""), "user_header_name user_header_mappings use_x_forwarded_for"),
    (
        NotYet("secret managers are not supported yet: use os.environ/"),
        "key_management_system key_management_settings use_google_kms google_kms_resource_name \
         use_azure_key_vault",
    ),
    (Honoured("where router_settings has no redis_host and no redis_url"), "coordination_redis"),
    (
        Honoured("while the Redis that gateways count in can't be reached"),
        "fail_closed_rate_limit_enforcement fail_closed_budget_enforcement",
    ),
    (NoEffect("a fallback serves only who may call its model"), "enforce_fallback_model_access"),
    (Honoured(""), "disable_budget_reservation disable_fallbacks_on_per_model_rate_limits"),
    (Honoured("where litellm_settings doesn't say, for all calls together"), "max_budget budget_duration"),
    (NotYet("there are no pass-through routes yet"), "pass_through_endpoints pass_through_request_timeout"),
    (
        NotYet("there is no admin page yet"),
        "disable_admin_ui ui_theme_config proxy_logo default_team_disabled email_logo_url",
    ),
];

/// `litellm_settings`.
pub(super) const LITELLM: Rows = &[
    (
        Honoured(""),
        "drop_params request_timeout set_verbose json_logs log_raw_request_response \
         budget_exceeded_status_code \
         require_auth_for_metrics_endpoint",
    ),
    (
        Honoured("where router_settings doesn't say"),
        "stream_timeout num_retries retry_policy fallbacks default_fallbacks context_window_fallbacks \
         content_policy_fallbacks allowed_fails cooldown_time",
    ),
    (Honoured("for all calls together, the master key's too"), "max_budget budget_duration"),
    (NoEffect("num_retries says how often a call is retried"), "retry"),
    (NoEffect("nothing is ever reported to anybody"), "telemetry"),
    (
        Honoured(""),
        "turn_off_message_logging redact_user_api_key_info global_disable_no_log_param \
         callbacks success_callback failure_callback enable_end_user_cost_tracking_prometheus_only",
    ),
    (PRIVATE, "redact_messages_in_exceptions expose_router_debug_in_errors suppress_debug_info"),
    (
        CALLBACKS,
        "service_callback service_callbacks input_callback langfuse_default_tags s3_callback_params post_call_rules prometheus_initialize_budget_metrics \
         custom_prometheus_metadata_labels custom_prometheus_tags",
    ),
    (CACHE, "cache cache_params enable_caching_on_provider_specific_optional_params disable_cache"),
    (
        BUDGETS,
        "max_end_user_budget max_internal_user_budget internal_user_budget_duration \
         tag_budget_config",
    ),
    (
        Honoured(""),
        "default_internal_user_params default_team_params upperbound_key_generate_params default_key_generate_params",
    ),
    (KEYS, "default_team_settings key_generation_settings enable_redis_auth_cache"),
    (Python, "custom_provider_map pre_call_rules custom_prompt_dict"),
    (Honoured(""), "cost_discount_config cost_margin_config"),
    (
        NotYet("set prices in model_list, or name a table in ai_api_settings.model_cost_map"),
        "model_cost custom_pricing",
    ),
    (GUARDRAILS, "guardrails enable_json_schema_validation banned_keywords_list blocked_user_list"),
    (
        NotYet("TLS to providers uses the system's certificates"),
        "ssl_verify ssl_certificate ssl_security_level force_ipv4 aiohttp_trust_env",
    ),
    (NotYet("use router_settings.model_group_alias"), "model_alias_map"),
    (
        LATER,
        "modify_params network_mock route_all_chat_openai_to_responses use_chat_completions_url_for_anthropic_messages \
         public_model_groups merge_reasoning_content_in_choices openai_key api_key api_base \
         organization user_url_validation disable_token_counter priority_reservation use_litellm_proxy \
         return_response_headers ignore_invalid_deployments disable_end_user_cost_tracking mcp_aliases",
    ),
];

/// `router_settings`.
pub(super) const ROUTER: Rows = &[
    (
        Honoured(""),
        "timeout stream_timeout model_group_alias routing_strategy routing_strategy_args num_retries retry_after \
         retry_policy model_group_retry_policy allowed_fails allowed_fails_policy cooldown_time disable_cooldowns \
         fallbacks default_fallbacks context_window_fallbacks content_policy_fallbacks max_fallbacks \
         enable_mid_stream_fallback_continuation fallback_on_unsupported_params \
         enable_pre_call_checks optional_pre_call_checks enable_tag_filtering default_max_parallel_requests \
         max_wait retry_budget hedging model_successors connect_timeout idle_timeout max_stream_duration \
         model_group_timeouts",
    ),
    (Honoured("with enable_tag_filtering"), "tag_filtering_match_any"),
    (NotYet("all groups have the same strategy"), "routing_groups"),
    (NotYet("calls have no priorities yet"), "default_priority polling_interval"),
    (Python, "plugins lowest_latency_logger"),
    (NoEffect("num_retries says how often a call is retried"), "default_max_retries"),
    (Honoured(""), "redis_url redis_host redis_port redis_password redis_db redis_username redis_ssl"),
    (Honoured(""), "provider_budget_config"),
    (CACHE, "cache_responses cache_kwargs caching_groups"),
    (NoEffect("connections are pooled for all deployments"), "client_ttl"),
    (NoEffect("a failed call's next deployment is chosen as its first was"), "enable_weighted_failover"),
    (
        Honoured(""),
        "background_health_checks health_check_interval health_check_details health_check_concurrency \
         enable_health_check_routing",
    ),
    (NoEffect("an invalid deployment is told at start-up and answers with an error"), "ignore_invalid_deployments"),
    (NoEffect("the level of the log is LITELLM_LOG"), "set_verbose debug_level"),
    (LATER, "default_litellm_params model_list assistants_config alerting_config router_general_settings search_tools"),
];

/// Request parameters that are nobody's misspelling.
pub(super) const REQUEST_PARAMS: &str = "temperature top_p top_k min_p n stop seed user max_tokens max_completion_tokens max_output_tokens \
    presence_penalty frequency_penalty repetition_penalty logit_bias logprobs top_logprobs response_format tools \
    tool_choice parallel_tool_calls functions function_call reasoning_effort reasoning thinking stream \
    stream_options modalities audio prediction service_tier store verbosity web_search_options safety_identifier \
    prompt_cache_key dimensions encoding_format size quality style voice speed input_type num_ctx num_predict \
    keep_alive safety_settings cache_control_injection_points provider transforms route models plugins system \
    messages prompt input language output_format background moderation";

/// Request parameters of other APIs that are about tokens of a text, and sound as if they were about secrets.
pub(super) const TOKEN_PARAMS: &str = "max_new_tokens max_prompt_tokens max_reasoning_tokens max_thinking_tokens \
    max_tokens_to_sample max_total_tokens min_tokens min_new_tokens min_output_tokens budget_tokens thinking_tokens \
    truncate_prompt_tokens skip_special_tokens add_special_tokens spaces_between_special_tokens stop_token_ids \
    allowed_token_ids return_token_ids return_tokens_as_token_ids include_stop_token prompt_token_ids num_tokens \
    tokens_to_generate token_repetition_penalty";
