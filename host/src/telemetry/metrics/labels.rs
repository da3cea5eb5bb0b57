//! Who called what: the labels of LiteLLM's metrics.

use std::hash::{Hash, Hasher};

use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};

use crate::keys::{Caller, KeyHash};
use crate::plugin::Operation;
use crate::usage::{CallRecord, ServedBy};

/// What LiteLLM writes where a key has no alias, no team and no user; its dashboards look for it.
const NOBODY: &str = "None";

/// A label, by LiteLLM's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    EndUser,
    HashedApiKey,
    ApiKeyAlias,
    Team,
    TeamAlias,
    User,
    UserEmail,
    RequestedModel,
    ModelGroup,
    FallbackModel,
    /// `model`: the provider's name of it.
    Model,
    /// The same under the name that metrics of deployments have for it.
    LitellmModelName,
    ModelId,
    ApiProvider,
    Route,
}

/// What calls of one kind have in common. A call without a label of a kind has an empty text there, which is not written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels {
    key: Option<KeyHash>,
    hashed_api_key: String,
    api_key_alias: Option<String>,
    team: Option<String>,
    team_alias: Option<String>,
    user: Option<String>,
    user_email: Option<String>,
    end_user: Option<String>,
    requested_model: String,
    model_group: String,
    served_by: Option<(String, String, String)>,
    route: Option<&'static str>,
}

/// The same labels, still in the call.
pub(super) struct Of<'a> {
    pub(super) call: &'a CallRecord,
    pub(super) end_user: Option<&'a str>,
}

// === impl Of ===

impl<'a> Of<'a> {
    fn caller(&self) -> Option<&'a Caller> {
        self.call.caller.as_deref()
    }

    /// The model that the client named, as far as there is one: any text may stand there, and series stay for good.
    fn requested_model(&self) -> &'a str {
        let known = self.call.model_group.is_some();
        self.call.model.as_deref().filter(|_| known).unwrap_or_default()
    }

    fn model_group(&self) -> &'a str {
        self.call.fallback.as_deref().or(self.call.model_group.as_deref()).unwrap_or_default()
    }

    /// The parts that tell nearly all series apart; [`Self::is`] has the last word.
    pub(super) fn hash(&self, state: &mut impl Hasher) {
        self.caller().map(|caller| caller.key.hash).hash(state);
        self.end_user.hash(state);
        self.requested_model().hash(state);
        self.call.served_by.as_ref().map(|by| by.deployment.as_str()).hash(state);
        self.call.fallback.hash(state);
    }

    /// Whether these are its labels.
    pub(super) fn is(&self, labels: &Labels) -> bool {
        let caller = self.caller();
        let user = caller.and_then(|caller| caller.user.as_deref());
        let team = caller.and_then(|caller| caller.team.as_deref());
        let served_by = self.call.served_by.as_ref().map(|by: &ServedBy| (&by.deployment, &by.provider, &by.model));
        caller.map(|caller| caller.key.hash) == labels.key
            && self.requested_model() == labels.requested_model
            && served_by == labels.served_by.as_ref().map(|(deployment, provider, model)| (deployment, provider, model))
            && self.model_group() == labels.model_group
            && Some(route(self.call.operation)) == labels.route
            && self.end_user == labels.end_user.as_deref()
            && caller.and_then(|caller| caller.key.alias.as_deref()) == labels.api_key_alias.as_deref()
            && caller.and_then(|caller| caller.key.team_id.as_deref()) == labels.team.as_deref()
            && caller.and_then(|caller| caller.key.user_id.as_deref()) == labels.user.as_deref()
            && team.and_then(|team| team.alias.as_deref()) == labels.team_alias.as_deref()
            && user.and_then(|user| user.email.as_deref()) == labels.user_email.as_deref()
    }

    /// The labels, for calls to come.
    pub(super) fn owned(&self) -> Labels {
        let caller = self.caller();
        let key = caller.map(|caller| &caller.key);
        let of = |by: &ServedBy| (by.deployment.clone(), by.provider.clone(), by.model.clone());
        Labels {
            key: key.map(|key| key.hash),
            hashed_api_key: key.map(|key| key.hash.to_string()).unwrap_or_default(),
            api_key_alias: key.and_then(|key| key.alias.clone()),
            team: key.and_then(|key| key.team_id.clone()),
            team_alias: caller.and_then(|caller| caller.team.as_ref()?.alias.clone()),
            user: key.and_then(|key| key.user_id.clone()),
            user_email: caller.and_then(|caller| caller.user.as_ref()?.email.clone()),
            end_user: self.end_user.map(str::to_owned),
            requested_model: self.requested_model().to_owned(),
            model_group: self.model_group().to_owned(),
            served_by: self.call.served_by.as_ref().map(of),
            route: Some(route(self.call.operation)),
        }
    }
}

/// The endpoint as LiteLLM names it.
fn route(operation: Operation) -> &'static str {
    let path = operation.path();
    path.strip_prefix("/v1").unwrap_or(path)
}

// === impl Labels ===

impl Labels {
    /// What stands for all series beyond the most there may be.
    pub(super) fn of_the_rest() -> Self {
        let rest = || "overflow".to_owned();
        Self {
            hashed_api_key: rest(),
            api_key_alias: Some(rest()),
            requested_model: rest(),
            model_group: rest(),
            ..Self::default()
        }
    }

    fn value(&self, label: Label) -> &str {
        let served_by = self.served_by.as_ref();
        match label {
            Label::EndUser => self.end_user.as_deref().unwrap_or_default(),
            Label::HashedApiKey => &self.hashed_api_key,
            Label::ApiKeyAlias => self.api_key_alias.as_deref().unwrap_or(NOBODY),
            Label::Team => self.team.as_deref().unwrap_or(NOBODY),
            Label::TeamAlias => self.team_alias.as_deref().unwrap_or(NOBODY),
            Label::User => self.user.as_deref().unwrap_or(NOBODY),
            Label::UserEmail => self.user_email.as_deref().unwrap_or_default(),
            Label::RequestedModel => &self.requested_model,
            Label::ModelGroup | Label::FallbackModel => &self.model_group,
            Label::Model | Label::LitellmModelName => served_by.map(|by| by.2.as_str()).unwrap_or_default(),
            Label::ModelId => served_by.map(|by| by.0.as_str()).unwrap_or_default(),
            Label::ApiProvider => served_by.map(|by| by.1.as_str()).unwrap_or_default(),
            Label::Route => self.route.unwrap_or_default(),
        }
    }

    /// Some of them, and some that the series itself doesn't have.
    pub(super) fn choose<'a>(&'a self, which: &'static [Label], more: &'a [(&'static str, &'a str)]) -> Chosen<'a> {
        Chosen { labels: self, which, more }
    }
}

impl Label {
    fn name(self) -> &'static str {
        match self {
            Self::EndUser => "end_user",
            Self::HashedApiKey => "hashed_api_key",
            Self::ApiKeyAlias => "api_key_alias",
            Self::Team => "team",
            Self::TeamAlias => "team_alias",
            Self::User => "user",
            Self::UserEmail => "user_email",
            Self::RequestedModel => "requested_model",
            Self::ModelGroup => "model_group",
            Self::FallbackModel => "fallback_model",
            Self::Model => "model",
            Self::LitellmModelName => "litellm_model_name",
            Self::ModelId => "model_id",
            Self::ApiProvider => "api_provider",
            Self::Route => "route",
        }
    }
}

/// The labels of one metric.
#[derive(Debug)]
pub(super) struct Chosen<'a> {
    labels: &'a Labels,
    which: &'static [Label],
    more: &'a [(&'static str, &'a str)],
}

impl EncodeLabelSet for Chosen<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        for label in self.which {
            let value = self.labels.value(*label);
            if !value.is_empty() {
                (label.name(), value).encode(encoder.encode_label())?;
            }
        }
        for (name, value) in self.more {
            (*name, *value).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}
