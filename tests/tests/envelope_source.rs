//! The examples of the source text, which say version "0.2" and leave out what later peers write.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support {
    pub mod envelope;
}

use rmi_core::{
    Native,
    message::{Body, Outcome, RejectionCode, Status},
};
use support::envelope::{outcome, read, refused, request};

const REQUEST: &str = include_str!("../vectors/source-text/request.json");
const REPLY: &str = include_str!("../vectors/source-text/reply.json");
const STATUS: &str = include_str!("../vectors/source-text/status.json");

fn patient(text: &str) -> rmi_core::message::Message {
    read(&Native::new().reads_version("0.2"), text).unwrap()
}

#[test]
fn a_reader_of_their_version_reads_them() {
    let message = patient(REQUEST);
    let (head, request) = (&message.head, request(&message));
    assert_eq!(head.sn.as_ref().unwrap().as_str(), "e7e91fb6-611b-4284-a9ed-ac1636b2c709");
    assert_eq!(head.from.as_ref().unwrap(), "cfa806a4-919a-495f-b1dd-3fc11be9a8d0");
    assert_eq!(head.to, "19802a28-a18c-4ae3-ac57-b7a2e78a427a");
    assert_eq!(head.reply.as_ref().unwrap().to, "cfa806a4-919a-495f-b1dd-3fc11be9a8d0");
    assert_eq!((request.class.as_str(), request.method.as_str()), ("Dog", "bark"));
    assert_eq!(request.args.positional.as_str(), r#"["hello"]"#);
    assert_eq!((request.args.named.as_str(), &request.cntr, &head.data, head.sent), ("{}", &None, &None, None));

    let message = patient(REPLY);
    assert_eq!(message.head.sn.as_ref().unwrap().as_str(), "e7e91fb6-611b-4284-a9ed-ac1636b2c709");
    assert_eq!((message.head.to.as_str(), &message.head.from), ("arrival", &None));
    let Outcome::Result(value) = outcome(&message) else { panic!("a result") };
    assert_eq!(value.decode::<String>().unwrap(), "Yes master.  I will bark because that is what dogs do.");

    let message = patient(STATUS);
    assert_eq!(message.body, Body::Status(Status::Accepted));
    assert_eq!(message.head.data.as_ref().unwrap().as_str(), r#""group 2""#);
    assert_eq!(message.head.from, None, "`origin` is no key of the envelope");
}

#[test]
fn such_a_reader_still_reads_what_is_written_today() {
    assert_eq!(patient(&REQUEST.replace("\"0.2\"", "\"2.0\"")), patient(REQUEST));
}

#[test]
fn the_default_reader_refuses_them_in_gofers_words() {
    for (text, answered) in [(REQUEST, true), (REPLY, false), (STATUS, false)] {
        let refused = refused(text);
        assert_eq!(refused.rejection.code, RejectionCode::ModelVersion);
        assert_eq!(refused.rejection.code.as_str(), "model.version");
        assert_eq!(refused.rejection.description, "MODEL: document version not matched");
        assert_eq!(refused.rejection.details, "expected:2.0, found:0.2");
        assert_eq!((refused.answer, refused.close), (answered, false));
        assert!(refused.head.unwrap().sn.is_some());
    }
}
