//! The conversations of `docs/rackhd.md`, played.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rackhd_api::ErrorEvent;
use rmi_core::{CallError, Endpoint, RemoteError};
use rmi_tests::on_core::{Bus, Hand, Sent, World, body};
use serde_json::Value;

/// All that is published in one conversation.
struct Ears(Vec<(String, Hand)>);

impl Ears {
    async fn of(world: &World) -> Self {
        let mut ears = Vec::new();
        for (name, _) in world.dialect.exchanges() {
            let plain = name.strip_prefix(if world.legacy { "" } else { "on." }).unwrap().to_owned();
            let hand = world.hand(&plain, "#").await;
            ears.push((name.to_string(), hand));
        }
        Ears(ears)
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What stands behind a mark: so many words, and JSON.
fn words<const N: usize>(line: &str) -> ([&str; N], Value) {
    let mut parts = line.splitn(N + 1, ' ');
    let words = std::array::from_fn(|_| parts.next().unwrap_or_else(|| panic!("{line}")));
    (words, json(parts.next().unwrap_or_else(|| panic!("{line}"))))
}

async fn published<'a>(ears: &'a mut Ears, line: &str) -> (&'a mut Hand, rmi_core::transport::Delivery) {
    let line = line.strip_prefix("> ").unwrap_or_else(|| panic!("{line}"));
    let ([exchange, key, kind], expected) = words::<3>(line);
    let (_, hand) = ears.0.iter_mut().find(|(name, _)| name == exchange).unwrap_or_else(|| panic!("{exchange}"));
    let heard = hand.next().await;
    assert_eq!((&*heard.key, heard.properties.kind.as_deref(), body(&heard)), (key, Some(kind), expected), "{line}");
    (hand, heard)
}

async fn call(caller: &Endpoint, ears: &mut Ears, said: &str, lines: &mut std::slice::Iter<'_, &str>) {
    let ([name], arguments) = words::<1>(said);
    let (class, method) = name.split_once('.').unwrap();
    let call = tokio::spawn(caller.peer("peer").class(class).call::<Value>(method, arguments).into_future());
    let (hand, request) = published(ears, lines.next().unwrap()).await;
    let ([kind], reply) = words::<1>(lines.next().unwrap().strip_prefix("< ").unwrap());
    hand.reply(&request, &Sent::json(kind, &reply.to_string())).await;
    let outcome = call.await.unwrap();
    let line = lines.next().unwrap();
    match line.strip_prefix("= ") {
        Some(expected) => assert_eq!(outcome.unwrap(), json(expected), "{said}"),
        None => {
            let CallError::Remote(raised) = outcome.unwrap_err() else { panic!("{said}") };
            let error = ErrorEvent::from_exception(&raised, class).unwrap();
            assert_eq!(format!("! {error}"), **line, "{said}");
        }
    }
}

#[tokio::test]
async fn conversations_are_as_they_are_written_down() {
    let document = include_str!("../../docs/rackhd.md");
    let (mut calls, mut events) = (0, 0);
    for block in document.split("```text\n").skip(1) {
        let lines: Vec<&str> = block.split("```").next().unwrap().lines().collect();
        let bus = Bus::memory();
        let world = match lines[0] {
            "on" => World::on(&bus),
            "legacy" => World::legacy(&bus),
            other => panic!("{other}"),
        };
        let caller = world.caller("caller").await;
        let mut ears = Ears::of(&world).await;
        let mut lines = lines[1..].iter();
        while let Some(line) = lines.next() {
            let said = line.strip_prefix("~ ").unwrap_or_else(|| panic!("{line}"));
            let name = said.split(' ').next().unwrap();
            if world.dialect.exchanges().iter().any(|(exchange, _)| {
                let plain = exchange.strip_prefix("on.").unwrap_or(exchange);
                name.split_once('.').is_some_and(|(class, method)| class == plain && !method.contains('.'))
            }) {
                calls += 1;
                call(&caller, &mut ears, said, &mut lines).await;
            } else {
                events += 1;
                let ([key], body) = words::<1>(said);
                caller.publish_raw(key.to_owned(), body).await.unwrap();
                published(&mut ears, lines.next().unwrap()).await;
            }
        }
    }
    assert_eq!((calls, events), (12, 5));
}

/// Whatever an example of the document is called, the contracts have such a method.
#[test]
fn methods_of_the_document_are_methods_of_contracts() {
    use rmi_core::Client as _;
    let contracts = [
        rackhd_api::ConfigurationClient::CONTRACT,
        rackhd_api::DhcpClient::CONTRACT,
        rackhd_api::TaskGraphRunnerClient::CONTRACT,
        rackhd_api::SchedulerClient::CONTRACT,
        rackhd_api::TaskClient::CONTRACT,
    ];
    let document = include_str!("../../docs/rackhd.md");
    for said in document.lines().filter_map(|line| line.strip_prefix("~ ")) {
        let name = said.split(' ').next().unwrap();
        let Some((class, method)) = name.split_once('.').filter(|(_, method)| !method.contains('.')) else { continue };
        let contract = contracts.iter().find(|contract| contract.name == class).unwrap_or_else(|| panic!("{name}"));
        assert!(contract.position(method).is_some(), "{name}");
    }
}
