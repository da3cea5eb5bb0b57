//! Where a call waits until it is taken on.

use std::sync::Arc;

use super::body::Reader;
use crate::admission::{Admission, Entrance, Slot, Tenant, Waiting};
use crate::pipeline::GatewayError;

/// What is read of a body while its call waits: most are here whole then, which is also how it is noticed that a client
/// has left. More would be memory that nothing bounds.
const READ_MEANWHILE: usize = 64 << 10;

/// Takes a call on, at once or after a wait.
pub(super) async fn enter(admission: &Arc<Admission>, tenant: Tenant, body: &mut Reader) -> Result<Slot, GatewayError> {
    match admission.knock(tenant) {
        Ok(Entrance::In(slot)) => Ok(slot),
        // Boxed, for hardly any call comes here, and each would carry the room.
        Ok(Entrance::Waiting(waiting)) => Box::pin(wait(waiting, body)).await,
        Err(shed) => Err(GatewayError::Overloaded(shed)),
    }
}

async fn wait(waiting: Waiting, body: &mut Reader) -> Result<Slot, GatewayError> {
    let read = async {
        match body.fill(READ_MEANWHILE).await {
            Ok(()) => std::future::pending().await,
            Err(error) => error,
        }
    };
    tokio::select! {
        biased;
        admitted = waiting.admitted() => admitted.map_err(GatewayError::Overloaded),
        error = read => Err(error),
    }
}
