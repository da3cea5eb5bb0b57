//! A client that doesn't read holds its provider back, and nobody's memory fills up.

use ai_api_e2e::{FakeUpstream, Gateway, Reply, Wire};

/// Far more than the gateway may hold.
const STREAM: usize = 50 << 20;
/// Generous: it holds a piece or two, and so does the client.
const HELD: usize = 4 << 20;
const PIECE: usize = 60_000;

/// Waits until the upstream gets nothing more written while the gateway answers others.
async fn settled(gateway: &Gateway, upstream: &FakeUpstream) -> usize {
    loop {
        let before = upstream.written();
        for _ in 0..50 {
            assert_eq!(gateway.client().get("/v1/models").await.status, 200);
        }
        if upstream.written() == before {
            return before;
        }
    }
}

/// What waits in the kernel on both sides of the gateway: up to tens of megabytes, which is not the gateway's doing.
fn in_the_kernel(authorities: [&str; 2]) -> usize {
    let ports: Vec<String> = authorities
        .iter()
        .filter_map(|authority| authority.rsplit(':').next()?.parse::<u16>().ok())
        .map(|port| format!(":{port:04X}"))
        .collect();
    let table = std::fs::read_to_string("/proc/net/tcp").expect("these tests run on Linux");
    let queued = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let mine = ports.iter().any(|port| fields[1].ends_with(port) || fields[2].ends_with(port));
        // A listening socket's queues count connections.
        let open = fields[3] != "0A";
        let sum = || fields[4].split(':').filter_map(|bytes| usize::from_str_radix(bytes, 16).ok()).sum();
        if mine && open { sum() } else { 0 }
    };
    table.lines().skip(1).map(queued).sum()
}

async fn assert_holds_back(wire: Wire) {
    let text = "x".repeat(PIECE);
    let pieces = STREAM / PIECE;
    let begun = Reply::events(wire.opening()).send(wire.text("first"));
    let filled = (0..pieces).fold(begun, |reply, _| reply.send(wire.text(&text)));
    let upstream = FakeUpstream::replying(wire.ending().into_iter().fold(filled, Reply::send));
    let gateway = Gateway::builder().model("model", wire.model(), &wire.base(&upstream)).start().await;
    let mut stream = gateway.client().stream("model", "hi").await;
    assert_eq!(stream.next_text().await, "first");

    let written = settled(&gateway, &upstream).await;

    assert!(written < STREAM, "{wire:?}: the whole stream went to a client that reads nothing");
    let held = written.saturating_sub(in_the_kernel([gateway.authority(), &upstream.authority()]));
    assert!(held < HELD, "{wire:?}: {held} bytes of {written} are in the gateway's memory");
    let rest = stream.transcript().await;
    assert!(rest.done && rest.error.is_none(), "{wire:?}: {:?}", rest.error);
    let length: usize =
        rest.chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).map(str::len).sum();
    assert_eq!(length, pieces * PIECE, "{wire:?}");
    assert!(upstream.written() > STREAM, "{wire:?}");
}

#[tokio::test]
async fn a_native_stream_that_nobody_reads_holds_its_provider_back_and_arrives_whole_later() {
    assert_holds_back(Wire::OpenAi).await;
}

#[tokio::test]
async fn a_translated_stream_that_nobody_reads_holds_its_provider_back_and_arrives_whole_later() {
    for wire in [Wire::Anthropic, Wire::Gemini] {
        assert_holds_back(wire).await;
    }
}
