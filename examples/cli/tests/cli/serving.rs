//! What agents are asked beside their methods: descriptions, cancelling, measuring, and what TCP cannot do.

use serde_json::json;

use crate::{
    agent::Agent,
    program::{rmi, words},
};

fn ask(agent: &Agent, command: &str) -> crate::program::Ended {
    rmi(words(&format!("{} --insecure", command.replace("{}", &agent.url))))
}

#[test]
fn an_agent_is_described_as_tables_and_as_data() {
    let agent = Agent::insecure();
    let ended = ask(&agent, "describe {} dog");
    assert_eq!(ended.status, 0, "{ended:?}");
    for part in [
        "Dog 1.0",
        "bark_times",
        "times: u32 = 1",
        "ValueError",
        "progress of String",
        "dog.barked.{name}",
        "Cowboy 1.0",
        "Says hello.",
    ] {
        assert!(ended.stdout.contains(part), "{part} is missing: {}", ended.stdout);
    }
    assert!(!ended.stdout.contains("Admin") && ended.stderr.contains("add `Admin` to see it"), "{ended:?}");
    assert!(ask(&agent, "describe {} dog Admin").stdout.contains("cancel"));

    let described = ask(&agent, "describe {} dog --json").end();
    assert_eq!(described["address"], "dog");
    assert!(described["contracts"].as_array().is_some_and(|contracts| contracts.len() == 4), "{described}");
    let one = ask(&agent, "describe {} dog Dog.wag --json").end();
    assert_eq!(one["contracts"][0]["methods"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_is_not_described_is_told_what_there_is() {
    let agent = Agent::insecure();
    for (wanted, advice) in [("Cat", "Cowboy, Dog"), ("Dog.fly", "bark, bark_times")] {
        let ended = ask(&agent, &format!("describe {{}} dog {wanted}"));
        assert_eq!(ended.status, 2, "{ended:?}");
        assert!(ended.stderr.contains(advice), "{ended:?}");
    }
    assert_eq!(ask(&agent, "describe {} cat").status, 4);
}

#[test]
fn a_request_is_cancelled_by_its_number_and_by_its_data() {
    let agent = Agent::insecure();
    let sn = ask(&agent, "call {} dog Dog.cancellable 600 --no-wait").stdout.trim_end().to_owned();
    let ended = ask(&agent, &format!("cancel {{}} dog {sn}"));
    assert_eq!((ended.status, ended.stdout.trim_end()), (0, sn.as_str()), "{ended:?}");

    let line = r#"call {} dog Dog.cancellable 600 --no-wait --data {"job":7}"#;
    let sn = ask(&agent, line).stdout.trim_end().to_owned();
    let ended = ask(&agent, r#"cancel {} dog --where {"match":{"job":8}} --json"#);
    assert_eq!(ended.end(), json!({"result": []}));
    let ended = ask(&agent, r#"cancel {} dog --where {"match":{"job":7}} --json"#);
    assert_eq!(ended.end(), json!({"result": [sn]}));

    assert_eq!(ask(&agent, "cancel {} dog nothing").status, 1, "it is not known");
    assert_eq!(ask(&agent, "cancel {} dog").status, 2);
    let ended = ask(&agent, r#"cancel {} dog --where {"like":7}"#);
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("--where"), "{ended:?}");
}

#[test]
fn a_bus_without_topics_says_so() {
    let agent = Agent::insecure();
    for command in ["publish {} dog.barked.rex", "subscribe {} dog.#"] {
        let ended = ask(&agent, command);
        assert_eq!(ended.status, 6, "{ended:?}");
        assert!(ended.stderr.contains("goes by links"), "{ended:?}");
        assert_eq!(ask(&agent, &format!("{command} --json")).end()["transport"]["kind"], "refused");
    }
    assert_eq!(ask(&agent, "publish {} dog.barked.rex 7").status, 2);
}

#[test]
fn an_agent_is_measured() {
    let agent = Agent::insecure();
    let measured = ask(&agent, "bench {} dog --seconds 1 --in-flight 4 --json").end();
    let measured = &measured["result"];
    assert!(measured["calls"].as_u64().is_some_and(|calls| calls > 0), "{measured}");
    for figure in ["calls_per_second", "p50_us", "p99_us", "cpu_us"] {
        assert!(measured[figure].as_f64().is_some_and(|figure| figure > 0.0), "{figure}: {measured}");
    }
    let ended = ask(&agent, "bench {} dog dog.echo 7 --seconds 1 --in-flight 1");
    assert!(ended.stdout.contains("calls/s") && ended.stdout.contains("p99"), "{ended:?}");
    assert_eq!(ask(&agent, "bench {} dog Dog.fly --seconds 1").status, 3);
}
