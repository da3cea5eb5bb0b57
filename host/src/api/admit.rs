//! Where a call waits until it is taken on.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::reader::Reader;
use crate::admission::{Admission, Entrance, Slot, Tenant, Waiting};
use crate::pipeline::GatewayError;

/// What is read of a body while its call waits: most are here whole then, which is also how it is noticed that a client
/// has left. More would be memory that nothing bounds.
const READ_MEANWHILE: usize = 64 << 10;

/// Who takes a call on, and for whom.
pub(super) struct Entering<'a> {
    pub(super) admission: &'a Arc<Admission>,
    pub(super) caller: Tenant,
}

/// Takes a call on, at once or after a wait, which takes from the client's own `timeout` what it lasts.
pub(super) async fn enter(
    entering: Entering<'_>,
    body: &mut Reader,
    timeout: &mut Option<Duration>,
) -> Result<Slot, GatewayError> {
    match entering.admission.knock(entering.caller) {
        Ok(Entrance::In(slot)) => Ok(slot),
        // Boxed, for hardly any call comes here, and each would carry the room.
        Ok(Entrance::Waiting(waiting)) => Box::pin(wait(waiting, body, timeout)).await,
        Err(shed) => Err(GatewayError::Overloaded(shed)),
    }
}

async fn wait(waiting: Waiting, body: &mut Reader, timeout: &mut Option<Duration>) -> Result<Slot, GatewayError> {
    let (began, longest) = (Instant::now(), timeout.unwrap_or(Duration::MAX));
    let read = async {
        match body.fill(READ_MEANWHILE).await {
            Ok(()) => std::future::pending().await,
            Err(error) => error,
        }
    };
    let slot = tokio::select! {
        biased;
        admitted = waiting.admitted(longest) => admitted.map_err(GatewayError::Overloaded)?,
        error = read => return Err(error),
    };
    *timeout = timeout.map(|timeout| timeout.saturating_sub(began.elapsed()));
    Ok(slot)
}
