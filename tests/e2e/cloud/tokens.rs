//! A token endpoint as Google has one, and the account that it knows.

use ai_api_e2e::{FakeUpstream, Received, Reply, TempDir};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

/// A private key that opens nothing: see the fixtures' README.
pub(crate) const PRIVATE_KEY: &str = include_str!("../../fixtures/service-account-test-key.pem");
const PUBLIC_KEY: &[u8] = include_bytes!("../../fixtures/service-account-test-key.pub.der");

/// A key file whose tokens come from `endpoint`.
pub(crate) fn key_file(endpoint: &FakeUpstream) -> Value {
    json!({
        "type": "service_account",
        "project_id": "project-of-the-file",
        "private_key_id": "key-1",
        "private_key": PRIVATE_KEY,
        "client_email": "gateway@project-of-the-file.iam.gserviceaccount.example",
        "client_id": "1",
        "token_uri": format!("{}/token", endpoint.origin()),
    })
}

/// The same, in a file.
pub(crate) fn written(home: &TempDir, key: &Value) -> String {
    home.write("account.json", key.to_string()).display().to_string()
}

/// What a token endpoint says to a good assertion.
pub(crate) fn token(token: &str, expires_in: u64) -> Reply {
    Reply::json(200, &json!({"access_token": token, "expires_in": expires_in, "token_type": "Bearer"}))
}

/// The claims of the assertion in a request for a token, whose signature is checked.
pub(crate) fn claims(request: &Received) -> (Value, Value) {
    let body = String::from_utf8_lossy(&request.body);
    let assertion = body
        .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
        .unwrap_or_else(|| panic!("no request for a token: {body}"));
    let (signed, signature) = assertion.rsplit_once('.').expect("a signature");
    let (header, claims) = signed.split_once('.').expect("a header");
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64");
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, PUBLIC_KEY);
    public.verify(signed.as_bytes(), &decoded(signature)).expect("the account's own signature");
    let json = |text: &str| serde_json::from_slice(&decoded(text)).expect("JSON");
    (json(header), json(claims))
}
