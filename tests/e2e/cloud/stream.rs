//! AWS's event streams, translated like any other.

use ai_api_e2e::{FakeUpstream, Framing, Gateway, Reply, Transcript, guest};
use serde_json::json;

use super::frames::{event, frame, reply};

async fn streamed(upstream: &FakeUpstream) -> (u16, Result<Transcript, String>) {
    let keys =
        json!({"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret-of-aws", "aws_region_name": "r"});
    let builder = Gateway::builder().plugin(&guest("probe-aws"));
    let gateway = builder.model_with("m/*", "probe-aws/*", &upstream.origin(), keys).start().await;
    let mut stream = gateway.client().stream("m/echo", "hi").await;
    match stream.status {
        200 => (200, Ok(stream.transcript().await)),
        status => (status, Err(stream.answer().await.message())),
    }
}

#[tokio::test]
async fn events_exceptions_and_errors_reach_the_plugin_by_name_however_they_are_cut() {
    let mut bytes = event("messageStart", r#"{"role":"assistant"}"#);
    bytes.extend(event("contentBlockDelta", r#"{"delta":"grüße"}"#));
    bytes.extend(frame(&[(":message-type", "exception"), (":exception-type", "throttlingException")], "{\"slow\":1}"));
    let error = [(":message-type", "error"), (":error-code", "InternalError"), (":error-message", "it broke")];
    bytes.extend(frame(&error, ""));
    for size in [1, 7, 64, bytes.len()] {
        let upstream = FakeUpstream::replying(reply(bytes.chunks(size).map(<[u8]>::to_vec)));
        let (_, transcript) = streamed(&upstream).await;
        let transcript = transcript.expect("a stream");
        let seen = transcript.meaning().text;
        for part in [
            r#"event Some("messageStart") {"role":"assistant"}"#,
            r#"event Some("contentBlockDelta") {"delta":"grüße"}"#,
            r#"event Some("throttlingException") {"slow":1}"#,
            r#"event Some("InternalError") it broke"#,
            "end Ending::Complete",
        ] {
            assert!(seen.contains(part), "cut every {size} bytes: {part} isn't in {seen}");
        }
        assert!(transcript.done);
    }
}

#[tokio::test]
async fn a_stream_of_another_media_type_is_no_aws_stream() {
    let (status, failed) = streamed(&FakeUpstream::replying(Reply::events(["data: {}\n\n"]))).await;
    let message = failed.expect_err("no stream");
    assert_eq!(status, 502);
    assert!(message.contains("'text/event-stream' instead of a stream"), "{message}");
}

#[tokio::test]
async fn a_corrupt_frame_ends_the_stream_with_an_error_after_what_came_before_it() {
    let mut corrupt = event("contentBlockDelta", r#"{"delta":"x"}"#);
    let last = corrupt.len() - 1;
    corrupt[last] ^= 1;
    let head =
        Reply::status(200).header("content-type", "application/vnd.amazon.eventstream").framing(Framing::Chunked);
    let upstream = FakeUpstream::replying(head.clone().send(event("messageStart", "{}")).send(corrupt.clone()));
    let (_, transcript) = streamed(&upstream).await;
    let transcript = transcript.expect("a stream");
    assert!(!transcript.done);
    let error = transcript.error.expect("an error");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("a frame is corrupt")), "{error}");

    let (status, failed) = streamed(&FakeUpstream::replying(head.clone().send(corrupt))).await;
    assert_eq!(status, 502, "{failed:?}");
    let (status, failed) = streamed(&FakeUpstream::replying(head.send(vec![0xff; 64]))).await;
    assert_eq!(status, 502, "{failed:?}");
    assert!(failed.expect_err("no stream").contains("longer than"));
}
