//! An agent that dials says hello before it knows to whom: what it signed for that is of no use to whoever heard it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rmi_core::{
    CallError, Endpoint, Native,
    testing::semantics::probe::{ProbeClient, ProbeServer, Watch},
    transport::tcp::Tcp,
};
use rmi_tests::{
    soon::soon,
    tcp::{Listening, Raw, quick},
    world::World,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
};

fn inner(line: &Value) -> Value {
    serde_json::from_str(line["message"].as_str().expect("it is sealed")).unwrap()
}

/// What an agent of this name says to whoever it has dialled.
async fn hello_of(world: &World, name: &'static str) -> (Endpoint, Value) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialler = Tcp::connect(listener.local_addr().unwrap().to_string()).options(quick()).await.unwrap();
    let builder = Endpoint::builder(name).bind(Native::new(), dialler, world.trust(name)).clock(world.clock.clone());
    let agent = builder.serve(ProbeServer::new(Watch::new().0)).start().await.unwrap();
    let (stream, _) = soon("it dials", listener.accept()).await.unwrap();
    let mut line = String::new();
    soon("it says hello", BufReader::new(stream).read_line(&mut line)).await.unwrap();
    (agent, serde_json::from_str(&line).unwrap())
}

#[tokio::test]
async fn a_hello_that_was_signed_for_nobody_names_no_link() {
    let world = World::sealed();
    let (_agent, hello) = hello_of(&world, "agent").await;
    let said = inner(&hello);
    assert_eq!((&said["routing"], &said["request"]["method"]), (&serde_json::json!(["agent", ""]), &"hello".into()));

    let server = Listening::with(quick(), |tcp| {
        Endpoint::builder("server").bind(Native::new(), tcp, world.trust("server")).clock(world.clock.clone())
    })
    .await;
    // Whoever was dialled says it again, as it is, to a server that knows the agent.
    let mut thief = Raw::dial(server.at()).await;
    assert!(thief.say(&hello).await);
    let answer = inner(&thief.hear().await.unwrap());
    assert_eq!(answer["result"]["retval"], "Hello, I am server", "{answer}");
    assert!(server.endpoint.linked().is_empty(), "{:?}", server.endpoint.linked());
    let at_agent: ProbeClient = server.endpoint.client("agent");
    let error = soon("the call ends", at_agent.echo("for the agent alone").into_future()).await.unwrap_err();
    assert!(matches!(&error, CallError::NoAgent(agent) if agent.as_str() == "agent"), "{error:?}");
}
