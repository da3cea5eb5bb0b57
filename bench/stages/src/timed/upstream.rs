//! Providers that answer at once, on a thread of their own.

use std::convert::Infallible;
use std::net::TcpListener;

use ai_api_bench_stages::inputs::{bytes, canonical_answer, canonical_stream, scenarios, sse};
use ai_api_bench_stages::setup::runtime;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

/// What providers answer.
struct Answers {
    /// By the beginning of the path, whole and as a stream.
    by_path: Vec<(&'static str, Bytes, Bytes)>,
}

impl Answers {
    fn new() -> Self {
        let of = |plugin: &str, name: &str| {
            let scenario = scenarios().into_iter().find(|known| known.plugin == plugin && known.name == name).unwrap();
            Bytes::from(scenario.wire())
        };
        let translated = |plugin| (of(plugin, "small chat"), of(plugin, "stream of 64"));
        let ((anthropic, anthropic_stream), (gemini, gemini_stream)) = (translated("anthropic"), translated("gemini"));
        let canonical = (bytes(&canonical_answer()).into(), sse(&canonical_stream()).into());
        Self {
            by_path: vec![
                ("/openai/", canonical.0, canonical.1),
                ("/anthropic/", anthropic, anthropic_stream),
                ("/gemini/", gemini, gemini_stream),
            ],
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = parts.uri.path();
        let (_, whole, stream) = self.by_path.iter().find(|(beginning, ..)| path.starts_with(beginning)).unwrap();
        let wants_stream =
            path.contains("streamGenerateContent") || body.windows(13).any(|bytes| bytes == b"\"stream\":true");
        let (kind, answer) = if wants_stream { ("text/event-stream", stream) } else { ("application/json", whole) };
        let mut response = Response::new(Full::new(answer.clone()));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Ok(response)
    }
}

/// Starts them; returns their origin.
pub(super) fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let serve = || {
        runtime().unwrap().block_on(async {
            let answers: &'static Answers = Box::leak(Box::new(Answers::new()));
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let service = service_fn(|request| answers.answer(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
    };
    std::thread::spawn(serve);
    origin
}
