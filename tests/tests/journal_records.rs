//! What is written of each step is read again; what is damaged is named, and taken for the worst.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, time::Duration};

use proptest::{collection, option, prelude::*, sample};
use rmi_core::{
    Address, Json, Principal,
    journal::{Accepted, Assembler, Change, Entry, Floor, Received, Recovered, RecoveredRequest, RequestId, State, Step},
    message::{Abort, AbortReason, Exception, Outcome, Rejection, RejectionCode, ReplyPath, Sn},
    text::Text,
    time::Timestamp,
    transport::{LinkId, Properties, Purpose},
};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn apply(rows: &mut Rows, step: &Step) {
    for change in step.changes() {
        match change {
            Change::Put(key, value) => drop(rows.insert(key.as_ref().to_vec(), value)),
            Change::DeleteRange(first, last) => rows.retain(|key, _| key[..] < *first.as_ref() || key[..] > *last.as_ref()),
        }
    }
}

fn read<'a>(rows: impl IntoIterator<Item = (&'a Vec<u8>, &'a Vec<u8>)>) -> Recovered {
    let mut assembler = Assembler::default();
    for (key, value) in rows {
        assembler.row(key, value);
    }
    assembler.finish()
}

fn text() -> impl Strategy<Value = Text> {
    "\\PC{0,12}".prop_map(Text::from)
}

fn json() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::NULL),
        "[a-z \"\\\\é]{0,20}".prop_map(|s| Json::encode(&s).unwrap()),
        any::<i64>().prop_map(|n| Json::encode(&n).unwrap())
    ]
}

fn principal() -> impl Strategy<Value = Principal> {
    prop_oneof![Just(Principal::Anonymous), text().prop_map(Principal::Key), text().prop_map(Principal::Transport)]
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_millis)
}

fn entry() -> impl Strategy<Value = Entry> {
    let sn = option::of("\\PC{0,60}".prop_filter_map("too long", Sn::new));
    (text(), principal(), sn, option::of(any::<u64>().prop_map(LinkId)), any::<bool>(), any::<u64>(), option::of(timestamp()))
        .prop_map(|(binding, principal, sn, link, by_text, digest, sent)| Entry {
            binding,
            principal,
            sn,
            link,
            by_text,
            digest,
            sent,
        })
}

fn properties() -> impl Strategy<Value = Properties> {
    (collection::vec(option::of(text()), 5), any::<bool>()).prop_map(|(texts, retain)| {
        let mut properties = Properties::default();
        let [content_type, content_encoding, kind, reply_to, correlation_id] = texts.try_into().unwrap();
        properties.content_type = content_type;
        properties.content_encoding = content_encoding;
        properties.kind = kind;
        properties.reply_to = reply_to;
        properties.correlation_id = correlation_id;
        properties.retain = retain;
        properties
    })
}

fn received() -> impl Strategy<Value = Received> {
    let purposes = sample::select(vec![Purpose::Requests, Purpose::Replies, Purpose::Events, Purpose::Everything]);
    let payload = collection::vec(any::<u8>(), 0..80);
    (payload, text(), text(), purposes, properties(), any::<u64>(), option::of(text())).prop_map(
        |(payload, exchange, key, purpose, properties, link, peer)| Received {
            payload: payload.into(),
            exchange,
            key,
            purpose,
            properties: properties.into(),
            link: LinkId(link),
            peer,
        },
    )
}

fn accepted() -> impl Strategy<Value = Accepted> {
    let reply = (text(), option::of(json())).prop_map(|(to, token)| ReplyPath { to: Address::from(to), token });
    (entry(), option::of(reply), received(), timestamp(), option::of(timestamp()))
        .prop_map(|(entry, reply, received, at, expires)| Accepted { entry, reply, received, at, expires })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let exception = (text(), option::of(text()), option::of(text()), json(), json())
        .prop_map(|(exval, xmodule, xclass, xargs, xstate)| Exception { exval, xmodule, xclass, xargs, xstate }.into());
    let code =
        prop_oneof![Just(RejectionCode::Busy), Just(RejectionCode::Expired), text().prop_map(|t| RejectionCode::from_name(&t))];
    let retry = option::of((any::<u64>(), 0..1_000_000_000u32).prop_map(|(s, n)| Duration::new(s, n)));
    let rejection = (code, text(), text(), retry)
        .prop_map(|(code, description, details, retry_after)| Rejection { code, description, details, retry_after }.into());
    let abort =
        (sample::select(AbortReason::ALL.to_vec()), text()).prop_map(|(reason, message)| Abort::new(reason, message).into());
    prop_oneof![json().prop_map(Outcome::Result), exception, rejection, abort]
}

proptest! {
    #[test]
    fn each_step_is_read_as_it_was_written(
        requests in collection::vec((accepted(), option::of(1..9u32), any::<bool>(), option::of(text()), option::of(outcome())), 1..6),
        refused in option::of((entry(), outcome())),
        since in timestamp(),
        floors in collection::vec((text(), option::of(principal()), timestamp()), 0..4),
    ) {
        let mut rows = Rows::new();
        apply(&mut rows, &Step::Since { binding: "0".into(), at: since });
        let mut expected = Vec::new();
        for (index, (request, attempts, cancelled, moved, outcome)) in requests.into_iter().enumerate() {
            let id = RequestId(index as u64 + 1);
            let request = Box::new(request);
            apply(&mut rows, &Step::Accepted { id, request: request.clone() });
            if let Some(attempt) = attempts {
                apply(&mut rows, &Step::Started { id, attempt });
            }
            if cancelled {
                apply(&mut rows, &Step::Cancelled { id });
            }
            if let Some(to) = &moved {
                apply(&mut rows, &Step::Moved { id, to: Address::from(to.clone()) });
            }
            if let Some(outcome) = &outcome {
                apply(&mut rows, &Step::Concluded { id, outcome: outcome.clone() });
            }
            expected.push(RecoveredRequest {
                id,
                entry: request.entry.clone(),
                accepted: Some(request),
                attempts: attempts.unwrap_or(0),
                cancelled,
                moved: moved.map(Address::from),
                state: outcome.map_or(State::Open, State::Concluded),
            });
        }
        if let Some((entry, outcome)) = refused {
            let id = RequestId(99);
            apply(&mut rows, &Step::Refused { id, entry: entry.clone(), outcome: outcome.clone() });
            let (attempts, cancelled, moved, state) = (0, false, None, State::Concluded(outcome));
            expected.push(RecoveredRequest { id, entry, accepted: None, attempts, cancelled, moved, state });
        }
        let mut distinct = BTreeMap::new();
        for (binding, principal, at) in floors {
            apply(&mut rows, &Step::Floor { binding: binding.clone(), principal: principal.clone(), at });
            distinct.insert((binding.to_string(), format!("{principal:?}")), Floor { binding, principal, at });
        }
        let mut recovered = read(&rows);
        prop_assert_eq!(recovered.since, if since == Timestamp::MIN { BTreeMap::new() } else { BTreeMap::from([("0".into(), since)]) });
        prop_assert!(recovered.lost.is_empty(), "{:?}", recovered.lost);
        prop_assert_eq!(&recovered.requests, &expected);
        let key = |f: &Floor| (f.binding.to_string(), format!("{:?}", f.principal));
        recovered.floors.sort_by_key(key);
        prop_assert_eq!(recovered.floors, distinct.into_values().collect::<Vec<_>>());
        // In whatever order.
        prop_assert_eq!(read(rows.iter().rev()).requests, expected);
    }

    #[test]
    fn a_damaged_row_is_named_and_nothing_worse(
        request in accepted(),
        outcome in outcome(),
        row in 0..6usize,
        place in any::<sample::Index>(),
        bit in 0..8u32,
        cut in any::<bool>(),
    ) {
        let mut rows = Rows::new();
        let id = RequestId(7);
        let steps = [
            Step::Accepted { id, request: Box::new(request) },
            Step::Started { id, attempt: 2 },
            Step::Cancelled { id },
            Step::Moved { id, to: Address::from("elsewhere") },
            Step::Concluded { id, outcome },
        ];
        steps.iter().for_each(|step| apply(&mut rows, step));
        let whole = read(&rows).requests.remove(0);
        let (key, value) = rows.iter_mut().nth(row).unwrap();
        let part = key[9];
        let at = place.index(value.len());
        if cut { value.truncate(at) } else { value[at] ^= 1 << bit }
        let recovered = read(&rows);
        prop_assert_eq!(recovered.lost.records, if part == 0 { 2 } else { 1 }, "{:?}", recovered.lost);
        match recovered.requests.as_slice() {
            [] => prop_assert_eq!(part, 0),
            [read] => {
                prop_assert!(read.attempts >= 1 && read.cancelled && read.state != State::Open);
                let worst = RecoveredRequest {
                    accepted: if part == 1 { None } else { whole.accepted.clone() },
                    attempts: if part == 2 { 1 } else { 2 },
                    moved: if part == 4 { None } else { whole.moved.clone() },
                    state: if part == 5 { State::Faded } else { whole.state.clone() },
                    ..whole
                };
                prop_assert_eq!(read, &worst);
            }
            more => prop_assert!(false, "{more:?}"),
        }
    }

    #[test]
    fn whatever_the_rows_are_they_are_read(rows in collection::vec((collection::vec(any::<u8>(), 0..20), collection::vec(any::<u8>(), 0..60)), 0..9)) {
        let mut assembler = Assembler::default();
        let unread = rows.iter().filter(|(key, value)| !assembler.row(key, value)).count();
        let recovered = assembler.finish();
        prop_assert_eq!(unread as u64, recovered.lost.records - recovered.lost.named.iter().filter(|n| n.ends_with("is gone")).count() as u64);
    }
}

#[test]
fn what_is_confirmed_is_known_and_what_is_forgotten_is_not() {
    let entry = Entry {
        binding: "0 native sealed dog".into(),
        principal: Principal::Key("caller".into()),
        sn: Sn::new("one"),
        link: None,
        by_text: false,
        digest: 3,
        sent: Some(Timestamp::from_millis(5)),
    };
    let received = Received {
        payload: "{}".into(),
        exchange: Text::EMPTY,
        key: "dog".into(),
        purpose: Purpose::Requests,
        properties: Properties::none(),
        link: LinkId(0),
        peer: None,
    };
    let accepted = Accepted { entry: entry.clone(), reply: None, received, at: Timestamp::from_millis(6), expires: None };
    let mut rows = Rows::new();
    for id in [RequestId(1), RequestId(256), RequestId(u64::MAX)] {
        apply(&mut rows, &Step::Accepted { id, request: Box::new(accepted.clone()) });
        apply(&mut rows, &Step::Started { id, attempt: 1 });
        apply(&mut rows, &Step::Concluded { id, outcome: Outcome::Result(Json::NULL) });
    }
    let id = RequestId(256);
    apply(&mut rows, &Step::Confirmed { id });
    let known = read(&rows).requests.remove(1);
    assert_eq!((known.id, known.accepted, known.attempts), (id, None, 0));
    assert_eq!((&known.entry, &known.state), (&entry, &State::Concluded(Outcome::Result(Json::NULL))));
    apply(&mut rows, &Step::Faded { id });
    assert_eq!(read(&rows).requests[1].state, State::Faded);
    apply(&mut rows, &Step::Forgotten { id });
    let left: Vec<_> = read(&rows).requests.into_iter().map(|r| r.id.0).collect();
    assert_eq!(left, [1, u64::MAX]);
    apply(&mut rows, &Step::Barred { id, entry });
    assert_eq!(read(&rows).requests[1].state, State::Barred);
}
