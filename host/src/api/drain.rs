//! `GET /health/drain`, or `POST`: what Kubernetes asks for before it ends the process. Calls are still served.

use std::time::Duration;

use http::{HeaderMap, Response, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use super::{Body, cors, respond};
use crate::admission::Admission;
use crate::health::Health;
use crate::pipeline::GatewayError;

/// The longest that `wait` may be: Kubernetes kills after 30 s by default.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Without a call for so long, new traffic goes elsewhere by now. Not being ready takes a few seconds to be noticed, so
/// that a gateway without a call at this very moment may get one in the next.
const QUIET: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);

/// Lets readiness fail from now on. With `?wait=SECONDS` it answers after that time, or once no call has been under way
/// for [`QUIET`], or when the process was asked to end.
pub(super) async fn drain(
    health: &Health,
    admission: &Admission,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Response<Body>, GatewayError> {
    cors::refuse_pages(headers)?;
    let wait = wait(query.unwrap_or_default())?;
    health.drain();
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        () = quiet(admission) => {}
        () = health.ending() => {}
    }
    Ok(respond::json(StatusCode::OK, &json!({"status": "draining"})))
}

/// How long to wait; without a word, not at all.
fn wait(query: &str) -> Result<Duration, GatewayError> {
    let Some((_, text)) = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "wait") else {
        return Ok(Duration::ZERO);
    };
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|wait| *wait <= MAX_WAIT).ok_or_else(|| {
        GatewayError::invalid("wait", format!("'wait' must be a number of seconds from 0 to {}.", MAX_WAIT.as_secs()))
    })
}

/// Waits until no call, one that waits for its turn neither, has been seen for [`QUIET`].
async fn quiet(admission: &Admission) {
    let mut since = Instant::now();
    while since.elapsed() < QUIET {
        tokio::time::sleep(LOOK).await;
        let calls = admission.snapshot();
        if calls.in_flight + calls.queued > 0 {
            since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::admission::{Entrance, Tenant};

    async fn took(health: &Health, admission: &Admission, query: &str) -> u64 {
        let began = Instant::now();
        drain(health, admission, &HeaderMap::new(), Some(query)).await.expect("it drains");
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn it_answers_at_once_or_after_the_time_or_when_calls_have_stopped() {
        let (health, admission) = (Arc::new(Health::default()), Arc::new(Admission::default()));
        assert_eq!(took(&health, &admission, "").await, 0);
        assert!(health.is_draining());
        assert_eq!(took(&health, &admission, "wait=3").await, 3);
        assert_eq!(took(&health, &admission, "wait=60").await, QUIET.as_secs(), "nobody calls");

        let Ok(Entrance::In(call)) = admission.knock(Tenant::ANYONE) else { panic!("it is not in") };
        assert_eq!(took(&health, &admission, "wait=20").await, 20, "a call is under way");
        let ends = async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            drop(call);
        };
        let (took_with_a_call, ()) = tokio::join!(took(&health, &admission, "wait=60"), ends);
        assert_eq!(took_with_a_call, 15);

        let asked_to_end = async { health.end() };
        let (took_at_the_end, ()) = tokio::join!(took(&health, &admission, "wait=60"), asked_to_end);
        assert_eq!(took_at_the_end, 0);
    }

    #[test]
    fn a_wait_that_is_none_is_told() {
        for (query, seconds) in [("", 0.0), ("x=y", 0.0), ("wait=0", 0.0), ("wait=2.5", 2.5), ("wait=60", 60.0)] {
            assert_eq!(wait(query).expect(query).as_secs_f64(), seconds, "{query}");
        }
        for query in ["wait", "wait=", "wait=soon", "wait=-1", "wait=61", "wait=NaN", "wait=inf"] {
            let error = wait(query).expect_err(query).to_string();
            assert_eq!(error, "'wait' must be a number of seconds from 0 to 60.", "{query}");
        }
    }
}
