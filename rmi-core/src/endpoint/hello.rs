//! An agent that dials says hello: so the other end knows its name, and can call it before it has called.

use std::{sync::Arc, time::Duration};

use crate::{
    address::Address,
    endpoint::{AdminClient, admin, binding::Binding, dispatch::Core},
    error::CallError,
    message::{Exception, Head, Request},
    transport::LinkId,
};

/// How long the other end may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says hello by a link that is up. Nobody waits for it.
///
/// The other end has a name, which is not known yet: so it is asked by none. Where everybody signs, what is said to nobody could be
/// said again at any other listener, and names nobody there; it is said again, to the name that came back.
pub(crate) fn say(core: &Arc<Core>, binding: &Arc<Binding>, link: LinkId) {
    let (core, binding) = (Arc::clone(core), Arc::clone(binding));
    tokio::spawn(async move {
        let to = |address: Address| AdminClient::new(Arc::clone(&core), binding.index, address).timeout(PATIENCE);
        let answer = to(Address::from("")).hello().await;
        let answer = match (answer, binding.called(link)) {
            (Ok(_), Some(name)) if binding.authenticator().is_some() => to(name).hello().await,
            (answer, _) => answer,
        };
        if let Err(error) = answer {
            not_heard(link, &error);
        }
    });
}

fn not_heard(link: LinkId, error: &CallError<Exception>) {
    tracing::debug!(link = link.0, %error, "nobody answers to hello: calls do not come by this link before one was made by it");
}

/// Whether a request says hello to whoever gets it.
pub(crate) fn is_to_anybody(head: &Head, request: &Request) -> bool {
    head.to.as_str().is_empty() && &*request.class == admin::CLASS && &*request.method == "hello"
}
