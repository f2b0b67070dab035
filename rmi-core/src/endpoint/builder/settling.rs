//! Methods that take longer than the bus waits for an acknowledgement are named when an endpoint starts.

use std::time::Duration;

use crate::{address::Address, contract::Contract, endpoint::binding::Opening};

/// Says which methods may take longer than the bus waits for the settlement of their requests, where it keeps these until their outcome
/// is published: it would take a request back while its method runs, again and again.
pub(super) fn announce(name: &Address, opening: &Opening, contracts: &[&'static Contract]) {
    let Some(limit) = opening.transport.capabilities().settle_within else { return };
    // Else it is settled when the journal has it.
    if opening.records.is_some() {
        return;
    }
    let long = longer(contracts, limit);
    if !long.is_empty() {
        tracing::warn!(
            endpoint = %name, binding = opening.index, methods = ?long, ?limit,
            "these methods may take longer than the bus waits for an acknowledgement: give the endpoint a durable `journal` and say \
             `queue_of_its_own`, or let the bus wait longer and tell the transport so"
        );
    }
}

/// The methods whose callers wait for longer.
fn longer(contracts: &[&'static Contract], limit: Duration) -> Vec<String> {
    let methods = contracts.iter().flat_map(|contract| contract.methods.iter().map(move |method| (contract, method)));
    let long = methods.filter(|(_, method)| method.timeout.is_some_and(|timeout| timeout >= limit));
    long.map(|(contract, method)| format!("{}.{}", contract.name, method.name)).collect()
}
