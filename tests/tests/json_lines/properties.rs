//! Nothing that arrives does harm, and what the protocol has words for survives it.

use proptest::{collection::vec, prelude::*};
use rmi_core::{
    Json,
    message::{
        Abort, AbortReason, Arguments, Body, Exception, Head, Message, Outcome, Progress, Rejection, RejectionCode, ReplyPath,
        Request, Sn, Status,
    },
    protocol::{JsonLines, json_lines::Profile},
    text::Text,
};
use rmi_tests::long::ordinarily_or_long;

use crate::desk::Desk;

const PROFILES: [Profile; 2] = [Profile::Deployed, Profile::Documented];

fn cases() -> ProptestConfig {
    ProptestConfig { cases: ordinarily_or_long(400, 5_000), failure_persistence: None, ..ProptestConfig::default() }
}

fn text() -> impl Strategy<Value = String> {
    let nasty =
        ["", "\"", "\\", "\u{0}", "\n\r\t", "null", "{\"a\":1}", "\u{2028}", "\u{10ffff}", "é", "task_id", "`x` is missing"];
    prop_oneof![
        3 => vec(any::<char>(), 0..20).prop_map(|chars| chars.into_iter().collect::<String>()),
        1 => prop::sample::select(nasty.to_vec()).prop_map(str::to_owned),
    ]
}

fn written(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// A value, in ASCII as the protocol has it.
fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["null", "true", "0", "-0.0", "1e999", "18446744073709551616", "0.1234567890123456789"])
            .prop_map(str::to_owned),
        "[ -!#-\\[\\]-~]{0,12}".prop_map(|t| written(&t)),
    ];
    let tree = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(","))),
            vec(("[a-z]{0,6}", inner), 0..3).prop_map(|items| {
                let items: Vec<_> = items.iter().map(|(k, v)| format!("{}:{v}", written(k))).collect();
                format!("{{{}}}", items.join(","))
            }),
        ]
    });
    tree.prop_map(|text| Json::parse(text).unwrap())
}

/// Lines of the protocol, more or less.
fn line() -> impl Strategy<Value = String> {
    let method = prop::sample::select(vec![
        "\"ping\"",
        "\"handshake\"",
        "\"status\"",
        "\"log\"",
        "\"task_status\"",
        "\"standby.prepare_image\"",
        "\"standbye.cache_images\"",
        "\"nosuch\"",
        "[]",
        "null",
    ]);
    let id = prop_oneof![
        json().prop_map(|id| id.to_string()),
        Just("\"00000000-0000-0000-0000-000000000001\"".to_owned()),
        Just("\"00000000-0000-0000-0000-000000000009/task\"".to_owned()),
    ];
    let params = vec(
        (
            prop::sample::select(vec![
                "task_id",
                "image_id",
                "image_ids",
                "id",
                "state",
                "eta",
                "percent",
                "total",
                "completed",
                "msg",
                "x",
            ]),
            prop_oneof![json().prop_map(|v| v.to_string()), Just("NaN".to_owned()), Just("\"running\"".to_owned())],
        ),
        0..6,
    )
    .prop_map(|members| {
        let members: Vec<_> = members.iter().map(|(k, v)| format!("\"{k}\": {v}")).collect();
        format!("{{{}}}", members.join(","))
    });
    let member = prop_oneof![
        4 => id.prop_map(|id| format!("\"id\": {id}")),
        4 => Just("\"version\": \"v1\"".to_owned()),
        1 => json().prop_map(|version| format!("\"version\": {version}")),
        4 => method.prop_map(|method| format!("\"method\": {method}")),
        4 => params.prop_map(|params| format!("\"params\": {params}")),
        1 => json().prop_map(|value| format!("\"params\": {value}")),
        1 => json().prop_map(|value| format!("\"result\": {value}")),
        1 => json().prop_map(|value| format!("\"error\": {value}")),
        1 => json().prop_map(|value| format!("\"fatal_error\": {value}")),
    ];
    vec(member, 0..8).prop_map(|members| format!("{{{}}}", members.join(", ")))
}

/// A line, or something that was one.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let broken = (line(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(line, at, byte)| {
        let mut bytes = line.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes
    });
    prop_oneof![6 => line().prop_map(String::into_bytes), 2 => broken, 1 => vec(any::<u8>(), 0..40)]
}

fn exception() -> impl Strategy<Value = Exception> {
    (text(), text(), text()).prop_map(|(module, class, message)| Exception::new(module, class, message))
}

fn rejection() -> impl Strategy<Value = Rejection> {
    let code = text().prop_filter("the code of an abort", |code| !code.starts_with("aborted."));
    let time = prop::option::of(any::<u32>());
    (code, text(), time).prop_map(|(code, details, time)| {
        let rejection = Rejection::new(RejectionCode::from_name(&code), details);
        Rejection { retry_after: time.map(|ms| std::time::Duration::from_millis(ms.into())), ..rejection }
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        json().prop_map(Outcome::Result),
        exception().prop_map(Outcome::from),
        rejection().prop_map(Outcome::from),
        (prop::sample::select(AbortReason::ALL.to_vec()), text()).prop_map(|(reason, text)| Abort::new(reason, text).into()),
    ]
}

/// Of several members of one name, which only the last of counts of, one.
fn arguments() -> impl Strategy<Value = Vec<(String, Json)>> {
    let name = text().prop_filter("the protocol's own", |name| name != "task_id");
    vec((name, json()), 0..5).prop_map(|mut arguments| {
        arguments.sort_by(|a, b| a.0.cmp(&b.0));
        arguments.dedup_by(|a, b| a.0 == b.0);
        arguments
    })
}

fn call(method: &str, arguments: &[(String, Json)]) -> Message {
    let mut head = Head::to("other");
    head.sn = Some(Sn::from(uuid::Uuid::from_u128(0xfeed)));
    head.from = Some("own".into());
    head.reply = Some(ReplyPath::to("own"));
    let members: Vec<_> = arguments.iter().map(|(k, v)| format!("{}:{v}", written(k))).collect();
    let named = Json::parse(format!("{{{}}}", members.join(","))).unwrap();
    let args = Arguments { named, ..Arguments::NONE };
    let request = Request {
        class: Text::from("any"),
        method: Text::from(method),
        version: None,
        cntr: None,
        args,
        wants: None,
        group: None,
        contract: None,
    };
    Message { head, body: Body::Request(request) }
}

/// Two ends that have not said anything yet.
fn ends(profile: Profile, task: bool) -> (Desk, Desk) {
    let lines = JsonLines::server().profile(profile).no_commands();
    let lines = if task { lines.tasks("any", "any") } else { lines.class("any", "any") };
    (Desk::open(lines.clone()), Desk::open(lines))
}

/// Every line of one end comes to the other.
fn carry(from: &mut Desk, to: &mut Desk) {
    for line in from.said() {
        to.receive_text(&line);
        assert_eq!(to.closed, None, "{line}");
    }
}

/// What of an outcome the profile has words for.
fn carried(outcome: &Outcome, got: &Outcome, profile: Profile) {
    match (outcome, got) {
        (Outcome::Result(said), Outcome::Result(got)) if said.is_null() => assert!(matches!(got.as_str(), "null" | "{}")),
        (Outcome::Result(said), Outcome::Result(got)) => assert_eq!(got, said),
        (_, Outcome::Exception(_)) if profile == Profile::Deployed => {}
        (Outcome::Exception(said), Outcome::Exception(got)) => {
            assert_eq!((&got.xmodule, &got.xclass), (&said.xmodule, &said.xclass));
            let value = |json: &Json| json.decode::<serde_json::Value>().unwrap();
            assert_eq!((value(&got.xargs), value(&got.xstate)), (value(&said.xargs), value(&said.xstate)));
        }
        (Outcome::Rejected(said), Outcome::Rejected(got)) => assert_eq!(got, said),
        (Outcome::Aborted(said), Outcome::Aborted(got)) => assert_eq!(got, said),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_comes_does_no_harm(lines in vec(bytes(), 1..12), server in any::<bool>(), documented in any::<bool>()) {
        let profile = PROFILES[usize::from(documented)];
        let lines_of = if server { JsonLines::server() } else { JsonLines::agent("a") };
        let mut desk = Desk::new(lines_of.profile(profile), server);
        for line in &lines {
            let open = desk.closed.is_none();
            desk.receive(line);
            let said = desk.said();
            prop_assert!(open || said.is_empty(), "after the end: {said:?}");
            for line in said {
                prop_assert!(serde_json::from_str::<std::collections::HashMap<&str, &serde_json::value::RawValue>>(&line).is_ok(), "{}", line);
            }
        }
    }

    #[test]
    fn a_call_and_its_end_survive(
        method in prop::sample::select(vec!["run", "a.b", "_X1"]),
        arguments in arguments(),
        outcome in outcome(),
        steps in vec((1..u64::MAX, any::<u64>(), json()), 0..4),
        documented in any::<bool>(),
        task in any::<bool>(),
    ) {
        let profile = PROFILES[usize::from(documented)];
        let (mut caller, mut agent) = ends(profile, task);
        caller.send(&call(method, &arguments));
        carry(&mut caller, &mut agent);
        let request = agent.running.remove(0);
        let Body::Request(got) = &request.body else { panic!() };
        prop_assert_eq!((&*got.class, &*got.method), ("any", method));
        let mut reader = got.args.reader(64).unwrap();
        for (name, value) in &arguments {
            prop_assert_eq!(&reader.required::<Json>(name).unwrap(), value);
        }
        prop_assert_eq!(request.head.sn.as_ref().unwrap().as_str(), "00000000-0000-0000-0000-00000000feed");

        agent.status(&request, Status::Accepted);
        agent.status(&request, Status::Started);
        for (total, completed, details) in &steps {
            agent.status(&request, Status::Progress(Progress { total: *total, completed: *completed, details: details.clone() }));
        }
        agent.conclude(&request, outcome.clone());
        carry(&mut agent, &mut caller);
        carry(&mut caller, &mut agent);
        let mut heard = caller.passed.into_iter().map(|message| message.body);
        if task && documented {
            prop_assert_eq!(heard.next(), Some(Body::Status(Status::Accepted)));
            prop_assert_eq!(heard.next(), Some(Body::Status(Status::Started)));
        }
        for (total, completed, details) in steps.into_iter().filter(|_| task) {
            let Some(Body::Status(Status::Progress(step))) = heard.next() else { panic!() };
            prop_assert_eq!((step.total, step.completed), (total, completed));
            prop_assert!(details.is_null() || step.details == details);
        }
        let Some(Body::Outcome(got)) = heard.next() else { panic!() };
        carried(&outcome, &got, profile);
        prop_assert_eq!(heard.next(), None);
    }
}
