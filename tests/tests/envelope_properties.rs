//! Every message of the model survives the wire, and no bytes that arrive do harm.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support {
    pub mod envelope;
}

use std::time::Duration;

use proptest::{collection::vec, option, prelude::*, strategy::ValueTree, test_runner::TestRunner};
use rmi_core::{
    Json, Native,
    address::Address,
    message::{
        Abort, AbortReason, Arguments, Body, Constructor, Event, Exception, Head, Message, Outcome, Progress, Rejection,
        RejectionCode, ReplyPath, Request, Sn, Status, Statuses,
    },
    protocol::{Protocol, within_depth},
    text::Text,
    time::Timestamp,
};
use rmi_tests::long::ordinarily_or_long;
use support::envelope::{decode, encode, read};

fn text() -> impl Strategy<Value = Text> {
    let nasty = prop::sample::select(vec!["", "\"", "\\", "\u{0}", "\n\r\t", "null", "{\"a\":1}", "\u{2028}", "\u{10ffff}", "é"]);
    prop_oneof![
        3 => vec(any::<char>(), 0..40).prop_map(|chars| chars.into_iter().collect::<String>()),
        2 => "[ -~]{0,64}",
        1 => nasty.prop_map(str::to_owned),
    ]
    .prop_map(Text::from)
}

fn json() -> impl Strategy<Value = Json> {
    let number =
        prop::sample::select(vec!["0", "-0", "-0.0", "1e999", "-1e-999", "18446744073709551616", "0.1234567890123456789"]);
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        number.prop_map(str::to_owned),
        text().prop_map(|t| serde_json::to_string(&t).unwrap()),
    ];
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            vec((text(), inner), 0..4).prop_map(|items| {
                let items: Vec<_> = items.iter().map(|(k, v)| format!("{}:{v}", serde_json::to_string(k).unwrap())).collect();
                format!("{{{}}}", items.join(","))
            }),
        ]
    });
    tree.prop_map(|text| Json::parse(text).unwrap())
}

fn array() -> impl Strategy<Value = Json> {
    vec(json(), 0..4)
        .prop_map(|items| Json::parse(format!("[{}]", items.iter().map(Json::as_str).collect::<Vec<_>>().join(","))).unwrap())
}

fn object() -> impl Strategy<Value = Json> {
    vec((text(), json()), 0..4).prop_map(|items| {
        let items: Vec<_> = items.iter().map(|(k, v)| format!("{}:{v}", serde_json::to_string(k).unwrap())).collect();
        Json::parse(format!("{{{}}}", items.join(","))).unwrap()
    })
}

fn address() -> impl Strategy<Value = Address> {
    text().prop_filter("an empty address is none", |t| !t.is_empty()).prop_map(Address::from)
}

fn sn() -> impl Strategy<Value = Sn> {
    let longest = Sn::new("x".repeat(Sn::MAX_LEN)).unwrap();
    prop_oneof![9 => text().prop_filter_map("too long", Sn::new), 1 => Just(longest)]
}

fn trace() -> impl Strategy<Value = Text> {
    "00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}".prop_map(Text::from)
}

/// What every kind of message says. Null data is none, and dates have years of four digits.
fn head() -> impl Strategy<Value = Head> {
    let data = json().prop_filter("null is none", |data| !data.is_null());
    let sent = (-62_167_219_200_000_i64..=253_402_300_799_999).prop_map(Timestamp::from_millis);
    (option::of(sn()), option::of(sent), option::of(address()), address(), option::of(data), option::of(trace()))
        .prop_map(|(sn, sent, from, to, data, trace)| Head { sn, sent, from, data, trace, ..Head::to(to) })
}

fn waiting() -> impl Strategy<Value = Option<Duration>> {
    option::of(prop_oneof![any::<u64>(), 0_u64..100_000].prop_map(Duration::from_millis))
}

fn request() -> impl Strategy<Value = Message> {
    let cntr = (array(), object()).prop_map(|(positional, named)| Constructor { positional, named });
    let wants = any::<[bool; 3]>().prop_map(|[accepted, started, progress]| Statuses { accepted, started, progress });
    let call = (text(), text(), option::of(text()), option::of(cntr), array(), object(), option::of(wants), option::of(text()));
    (head(), option::of(address()), waiting(), call).prop_map(
        |(head, reply, ttl, (class, method, version, cntr, args, kws, wants, group))| {
            let args = Arguments { positional: args, named: kws, ..Arguments::NONE };
            let head = Head { reply: reply.map(ReplyPath::to), ttl, ..head };
            Message { head, body: Body::Request(Request { class, method, version, cntr, args, wants, group, contract: None }) }
        },
    )
}

fn rejection() -> impl Strategy<Value = Rejection> {
    use RejectionCode::*;
    let known = vec![
        ModelVersion,
        Authentication,
        Authorization,
        UnknownVersion,
        Arguments,
        Malformed,
        Limit,
        Reused,
        Stale,
        Expired,
        ReplyAddress,
        Busy,
        RateLimited,
        Undecided,
        Closing,
    ];
    let foreign = text().prop_map(|code| RejectionCode::from_name(&code));
    let said = (prop_oneof![prop::sample::select(known), foreign], text(), text(), waiting());
    // These two are said by an exception, whose message is the details: the description is the code's own.
    let missing = (prop::sample::select(vec![UnknownClass, UnknownMethod]), text());
    prop_oneof![
        said.prop_map(|(code, description, details, retry_after)| Rejection { code, description, details, retry_after }),
        missing.prop_map(|(code, details)| Rejection::new(code, details)),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let exception = (text(), option::of(text()), option::of(text()), json(), json())
        .prop_map(|(exval, xmodule, xclass, xargs, xstate)| Exception { exval, xmodule, xclass, xargs, xstate });
    let abort = (prop::sample::select(AbortReason::ALL.to_vec()), text()).prop_map(|(reason, text)| Abort::new(reason, text));
    prop_oneof![
        json().prop_map(Outcome::Result),
        exception.prop_map(Outcome::from),
        rejection().prop_map(Outcome::Rejected),
        abort.prop_map(Outcome::Aborted),
    ]
}

fn reply() -> impl Strategy<Value = Message> {
    let progress = (any::<u64>(), any::<u64>(), json())
        .prop_map(|(total, completed, details)| Status::Progress(Progress { total, completed, details }));
    let status = prop_oneof![Just(Status::Accepted), Just(Status::Started), progress].prop_map(Body::Status);
    (head(), prop_oneof![status, outcome().prop_map(Body::Outcome)]).prop_map(|(head, body)| {
        let sent = match &body {
            Body::Status(Status::Progress(_)) => None,
            _ => head.sent.map(|at| Timestamp::from_millis(at.as_millis().div_euclid(1_000) * 1_000)),
        };
        Message { head: Head { sent, ..head }, body }
    })
}

fn event() -> impl Strategy<Value = Message> {
    (head(), waiting(), text(), object())
        .prop_map(|(head, ttl, key, body)| Message { head: Head { ttl, ..head }, body: Body::Event(Event { key, body }) })
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![request(), reply(), event()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ordinarily_or_long(1_500, 100_000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_survives_the_wire(message in message()) {
        let frame = encode(&message);
        let written = std::str::from_utf8(&frame.payload).unwrap();
        prop_assert!(!written.contains(['\n', '\r']));
        prop_assert_eq!(decode(written), message);
        // The keys of gofer's levels are sorted and none is there twice.
        let order: Vec<String> = keys(written);
        prop_assert!(order.is_sorted() && order.windows(2).all(|pair| pair[0] != pair[1]), "{}", written);
    }

    #[test]
    fn repeated_keywords_are_read_once(message in request()) {
        let frame = Native::new().repeat_keywords().encode(&message).unwrap().unwrap();
        let Repeated { request } = serde_json::from_slice(&frame.payload).unwrap();
        prop_assert_eq!(request.kwargs.get(), request.kws.get());
        prop_assert_eq!(decode(&frame.payload), message);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,64}|[\\[\\]{}\",:0-9a-z\\\\]{0,64}") {
        let _ = read(&Native::new(), text);
    }

    #[test]
    fn depth_is_what_a_parser_finds(json in json()) {
        let Depth(depth) = serde_json::from_str(&json.as_str().replace("1e999", "1")).unwrap();
        prop_assert!(within_depth(json.as_str().as_bytes(), depth));
        prop_assert!(depth == 0 || !within_depth(json.as_str().as_bytes(), depth - 1), "{} in {}", depth, json);
    }
}

#[derive(serde::Deserialize)]
struct Repeated<'a> {
    #[serde(borrow)]
    request: Keywords<'a>,
}

#[derive(serde::Deserialize)]
struct Keywords<'a> {
    #[serde(borrow)]
    kwargs: &'a serde_json::value::RawValue,
    #[serde(borrow)]
    kws: &'a serde_json::value::RawValue,
}

/// How deep a value is, as serde_json walks it.
struct Depth(usize);

impl<'de> serde::Deserialize<'de> for Depth {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Depth;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON value")
            }
            fn visit_unit<E>(self) -> Result<Depth, E> {
                Ok(Depth(0))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Depth, E> {
                Ok(Depth(0))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Depth, E> {
                Ok(Depth(0))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Depth, E> {
                Ok(Depth(0))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Depth, E> {
                Ok(Depth(0))
            }
            fn visit_str<E>(self, _: &str) -> Result<Depth, E> {
                Ok(Depth(0))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Depth, A::Error> {
                let mut deepest = 0;
                while let Some(Depth(depth)) = seq.next_element()? {
                    deepest = deepest.max(depth);
                }
                Ok(Depth(deepest + 1))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Depth, A::Error> {
                let mut deepest = 0;
                while let Some((_, Depth(depth))) = map.next_entry::<serde::de::IgnoredAny, Depth>()? {
                    deepest = deepest.max(depth);
                }
                Ok(Depth(deepest + 1))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The keys of the outermost object, in their order.
fn keys(text: &str) -> Vec<String> {
    struct Keys(Vec<String>);
    impl<'de> serde::Deserialize<'de> for Keys {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Keys;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                    let mut keys = Vec::new();
                    while let Some((key, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
                        keys.push(key);
                    }
                    Ok(Keys(keys))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    serde_json::from_str::<Keys>(text).unwrap().0
}

/// A small generator, so that millions of inputs cost little: splitmix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        (self.roll() % (end.max(1) as u64)) as usize
    }

    fn piece(&mut self) -> &'static [u8] {
        PIECES[self.below(PIECES.len())].as_bytes()
    }
}

/// Pieces that a parser could stumble over.
const PIECES: [&str; 40] = [
    "null",
    "true",
    "NaN",
    "Infinity",
    "-Infinity",
    "-",
    "-0",
    "1e999",
    "1E+400",
    "0.000000001",
    "99999999999999999999999999",
    "\"\"",
    "\"\\ud800\"",
    "\"\\ud83d\\udc36\"",
    "\"\\u0000\"",
    "\"\\",
    "\\",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "[]",
    "{}",
    "[[],{}]",
    "[[[[[[[[",
    "{\"a\":{\"a\":",
    "\"2.0\"",
    "\"accepted\"",
    "\"progress\"",
    "\"rejected\"",
    "\u{feff}",
    "\n",
    "\"rmi\":{\"event\":{\"key\":\"k\",\"body\":{}}},",
    "\"rmi\":{\"code\":\"aborted.cancelled\",\"ttl\":-1},",
    "\"rmi\":{\"code\":\"method.unknown\",\"statuses\":[\"started\",1,[]]},",
    "\"status\":\"progress\",\"total\":1e30,",
    "\"request\":null,",
];

fn mutate(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut text = corpus[dice.below(corpus.len())].clone();
    let steps = [1, 1, 1, 2, 3][dice.below(5)];
    for _ in 0..steps {
        let at = dice.below(text.len() + 1);
        match dice.below(9) {
            0 => {
                if let Some(byte) = text.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            1 => text.truncate(at),
            2 => {
                let other = &corpus[dice.below(corpus.len())];
                let from = dice.below(other.len());
                text.splice(at.., other[from..].iter().copied());
            }
            3 => {
                // A member or an element once more: a duplicated key.
                let end = text[at..].iter().position(|b| *b == b',').map_or(text.len(), |i| at + i + 1);
                let start = text[..at].iter().rposition(|b| matches!(b, b'{' | b',' | b'[')).map_or(0, |i| i + 1);
                let again = text[start..end].to_vec();
                text.splice(start..start, again);
            }
            4 => {
                let levels = 1 + dice.below(300);
                let (open, close) = [("[", "]"), ("{\"k\":", "}")][dice.below(2)];
                let nested = format!("{}0{}", open.repeat(levels), close.repeat(levels));
                replace_value(dice, &mut text, nested.as_bytes());
            }
            5 => {
                let number = format!("{}e{}", dice.roll(), dice.roll() % 2_000);
                replace_value(dice, &mut text, number.as_bytes());
            }
            6 => {
                let piece = dice.piece();
                replace_value(dice, &mut text, piece);
            }
            7 => drop(text.splice(at..at, dice.piece().iter().copied())),
            _ => {
                let end = (at + dice.below(24)).min(text.len());
                text.drain(at..end);
            }
        }
    }
    text
}

/// Puts something in the place of the value that follows some colon.
fn replace_value(dice: &mut Dice, text: &mut Vec<u8>, new: &[u8]) {
    let colons: Vec<usize> = text.iter().enumerate().filter(|(_, b)| **b == b':').map(|(at, _)| at + 1).collect();
    let Some(start) = colons.get(dice.below(colons.len())).copied() else { return };
    let end = start + value_length(&text[start..]);
    text.splice(start..end, new.iter().copied());
}

/// How far a value reaches that a text starts with, if it is well formed.
fn value_length(text: &[u8]) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => depth += 1,
            b',' if depth == 0 => return at,
            b']' | b'}' if depth == 0 => return at,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

fn corpus() -> Vec<Vec<u8>> {
    let vectors: serde_json::Value = serde_json::from_str(include_str!("../vectors/gofer.json")).unwrap();
    let real = vectors["conversations"].as_array().unwrap().iter().flat_map(|c| c["messages"].as_array().unwrap());
    let mut corpus: Vec<Vec<u8>> = real.map(|m| m["body_text"].as_str().unwrap().as_bytes().to_vec()).collect();
    corpus.dedup();
    let mut runner = TestRunner::deterministic();
    for _ in 0..200 {
        let message = message().new_tree(&mut runner).unwrap().current();
        corpus.push(encode(&message).payload.to_vec());
    }
    corpus
}

#[test]
fn no_bytes_do_harm() {
    let (native, corpus) = (Native::new().reads_version("0.2"), corpus());
    let mut dice = Dice(0x5eed);
    let (mut taken, mut answered, mut silent) = (0_u32, 0_u32, 0_u32);
    for _ in 0..ordinarily_or_long(200_000, 8_000_000) {
        let input = mutate(&mut dice, &corpus);
        let _ = within_depth(&input, 64);
        match read(&native, &input) {
            Ok(message) => {
                // What was taken can be said again, and is then the same message.
                let first = encode(&message).payload;
                let second = encode(&decode(&first)).payload;
                assert_eq!(first, second, "{}", String::from_utf8_lossy(&input));
                taken += 1;
            }
            Err(refused) => {
                assert!(!refused.answer || refused.head.as_ref().is_some_and(|head| head.reply.is_some()));
                assert!(refused.rejection.details.len() < 1_000, "{:?}", refused.rejection);
                if refused.answer { answered += 1 } else { silent += 1 }
            }
        }
    }
    println!("{taken} taken, {answered} refused with an answer, {silent} without");
    assert!(taken.min(answered).min(silent) > 1_000, "the inputs reach every end: {taken}, {answered}, {silent}");
}
