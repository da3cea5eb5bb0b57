//! A plugin's request, checked: it goes where the operator said and carries nothing that is the gateway's.
//!
//! The pipeline sends what passes here; `ai-api plugin check` and its like tell an author what doesn't.

use http::Method;

use crate::plugin::HttpRequest;
use crate::upstream::{Base, Outbound, Placement, guest_headers, guest_query};

/// What is sent for a plugin whose credential goes to `placement`, without that credential yet.
///
/// # Errors
/// What the plugin did that it may not, as the end of a sentence that begins with "the plugin".
pub fn outbound(placement: &Placement, base: &Base, request: HttpRequest) -> Result<Outbound, String> {
    guest_query(&request.query, placement).map_err(|error| error.to_string())?;
    let url = base.join(&request.path, &request.query).map_err(|error| error.to_string())?;
    let headers = request.headers.iter().map(|header| (header.name.as_str(), header.value.as_str()));
    let headers = guest_headers(headers, placement).map_err(|error| error.to_string())?;
    let method = match request.method.as_str() {
        "GET" => Method::GET,
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "DELETE" => Method::DELETE,
        _ => return Err("asked for an unknown method".to_owned()),
    };
    Ok(Outbound { method, url, headers, body: request.body.into() })
}
