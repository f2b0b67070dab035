//! Steps of a journal, and what should be read after them.

use std::collections::BTreeMap;

use bytes::Bytes;
use rmi_core::{
    Json,
    journal::{Accepted, Assembler, Change, Entry, Key, Received, Recovered, RequestId, Step},
    message::{Outcome, ReplyPath, Sn},
    seal::Principal,
    time::Timestamp,
    transport::{LinkId, Properties, Purpose, SharedProperties},
};

/// What a request is known by.
pub fn entry(id: u64) -> Entry {
    Entry {
        binding: "native".into(),
        principal: Principal::Key("anna".into()),
        sn: Sn::new(format!("sn-{id}")),
        link: None,
        by_text: false,
        digest: id.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        sent: Some(Timestamp::from_millis(1_700_000_000_000)),
    }
}

/// A request with a payload of so many bytes.
pub fn accepted_of(id: u64, bytes: usize) -> Step {
    let request = Accepted {
        entry: entry(id),
        reply: Some(ReplyPath { to: "caller".into(), token: None }),
        received: Received {
            payload: Bytes::from(vec![b'x'; bytes]),
            exchange: "".into(),
            key: "kennel".into(),
            purpose: Purpose::Requests,
            properties: SharedProperties::from(Properties::default()),
            link: LinkId(1),
            peer: None,
        },
        at: Timestamp::from_millis(1_700_000_000_001),
        expires: None,
    };
    Step::Accepted { id: RequestId(id), request: Box::new(request) }
}

/// A request.
pub fn accepted(id: u64) -> Step {
    accepted_of(id, 200)
}

/// Its method is about to run for the first time.
pub fn started(id: u64) -> Step {
    Step::Started { id: RequestId(id), attempt: 1 }
}

/// It has a result.
pub fn concluded(id: u64) -> Step {
    Step::Concluded { id: RequestId(id), outcome: Outcome::Result(Json::parse(format!("{{\"answer\":{id}}}")).unwrap()) }
}

/// The bus has it.
pub fn confirmed(id: u64) -> Step {
    Step::Confirmed { id: RequestId(id) }
}

/// It had to make room.
pub fn forgotten(id: u64) -> Step {
    Step::Forgotten { id: RequestId(id) }
}

/// What a journal is, without a disk.
#[derive(Clone, Debug, Default)]
pub struct Model(BTreeMap<Key, Vec<u8>>);

impl Model {
    /// Steps are taken as a journal takes them.
    pub fn take(&mut self, steps: &[Step]) {
        for change in steps.iter().flat_map(Step::changes) {
            match change {
                Change::Put(key, value) => {
                    self.0.insert(key, value);
                }
                Change::DeleteRange(from, to) => self.0.retain(|key, _| !(from <= *key && *key <= to)),
            }
        }
    }

    /// What should be recovered now.
    pub fn read(&self) -> Recovered {
        let mut assembler = Assembler::default();
        for (key, value) in &self.0 {
            assert!(assembler.row(key.as_ref(), value));
        }
        assembler.finish()
    }
}

/// What a busy agent records, call by call: requests that are accepted and start, end, are confirmed and forgotten.
pub fn script(requests: u64) -> Vec<Vec<Step>> {
    let mut calls = vec![vec![Step::Since { binding: "native".into(), at: Timestamp::from_millis(1) }]];
    for id in 1..=requests {
        calls.push(vec![accepted_of(id, usize::try_from(id * 577 % 9_000).unwrap()), started(id)]);
        if id > 2 {
            calls.push(vec![concluded(id - 2)]);
        }
        if id > 4 {
            calls.push(vec![confirmed(id - 4), forgotten(id - 4)]);
            calls.push(vec![Step::Floor {
                binding: "native".into(),
                principal: None,
                at: Timestamp::from_millis(i64::try_from(id).unwrap()),
            }]);
        }
    }
    calls
}
