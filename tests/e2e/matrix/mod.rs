//! Every fault that a provider can have × streams and whole answers × three wires × what stands beside the deployment
//! that fails: what the client sees, how often providers were called, what the log says.
//!
//! What is to happen is in `expect.rs`, by rule. What did happen is also written to `docs/reliability.md`, so that a
//! change of behaviour is seen as a change of that file.

mod arrangements;
mod cell;
mod expect;
mod faults;
mod observe;
mod replies;
mod report;

use ai_api_e2e::Wire;

use arrangements::{Case, House};
use cell::Cell;
use observe::observe;

pub(crate) use faults::{Fault, SAID, WHOLE};

/// What became of all cases of one wire.
struct Observed {
    wire: Wire,
    cells: Vec<Cell>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_ends_as_the_table_of_reliability_says() {
    let cases = Case::all();
    let rows = Wire::ALL.map(|wire| {
        let cases = cases.clone();
        tokio::spawn(async move {
            let (mut cells, mut rest) = (Vec::new(), &cases[..]);
            // Those with a setting that all models of a gateway share come last, at a gateway of their own.
            for continues in [false, true] {
                let (own, others) = rest.split_at(rest.iter().take_while(|case| case.continues() == continues).count());
                let house = House::open(wire, own, continues).await;
                cells.extend(observe(&house, own).await);
                rest = others;
            }
            Observed { wire, cells }
        })
    });
    let mut observed = Vec::new();
    for row in rows {
        observed.push(row.await.expect("a wire's cases are observed"));
    }

    let mut wrong = Vec::new();
    for Observed { wire, cells } in &observed {
        for (case, cell) in cases.iter().zip(cells) {
            let expected = expect::expected(*case, *wire);
            if *cell != expected {
                wrong.push(format!("{wire:?} {}\n    expected {expected}\n    came     {cell}", case.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} cells:\n{}", wrong.len(), cases.len() * observed.len(), wrong.join("\n"));
    report::check(&cases, &observed);
}
