//! Whose a call is, beside its key's: who says so, and whom that is believed of.

use http::HeaderName;

use super::at::At;
use super::report::Report;

/// Where calls say whose they are.
#[derive(Clone, Debug, Default)]
pub struct Attribution {
    /// Headers that name an end user: `user_header_name`, and those of `user_header_mappings` for the role `customer`.
    pub user_headers: Vec<HeaderName>,
    /// `X-Forwarded-For` says where a call came from: `use_x_forwarded_for`. Without a proxy in front anybody may say so.
    pub use_forwarded_for: bool,
}

// === impl Attribution ===

impl Attribution {
    pub(super) fn read(root: &At<'_>, report: &mut Report) -> Self {
        let Some(general) = root.map("general_settings", report) else { return Self::default() };
        let mut attribution = Self::default();
        if let Some(mappings) = general.get("user_header_mappings") {
            for mapping in mappings.items() {
                let role = mapping.get("litellm_user_role").and_then(|at| at.text(report)).unwrap_or_default();
                if role.eq_ignore_ascii_case("customer") {
                    attribution.add(mapping.get("header_name"), report);
                }
            }
        }
        attribution.add(general.get("user_header_name"), report);
        attribution.use_forwarded_for =
            general.get("use_x_forwarded_for").and_then(|at| at.flag(report)).unwrap_or(false);
        attribution
    }

    fn add(&mut self, at: Option<At<'_>>, report: &mut Report) {
        let Some(at) = at else { return };
        match at.text(report).map(|name| HeaderName::try_from(name.trim())) {
            Some(Ok(name)) => self.user_headers.push(name),
            Some(Err(_)) => drop(at.expected::<()>("the name of a header", report)),
            None => {}
        }
    }
}
