//! An agent of gofer's cannot be asked for an outcome again: replies wait for us at the bus.

use std::future::IntoFuture;

use kennel::DogClient;
use rmi_amqp::Amqp;
use rmi_core::{Endpoint, Native, Trust, Update};
use rmi_tests::{
    amqp::{proxied, url},
    soon::soon,
};
use serde_json::{Value, json};

use super::stage::{agent, client, depth, options, unique};

#[tokio::test]
async fn a_reply_that_comes_while_we_are_away_is_not_lost() {
    let (proxy, through) = proxied(&url().await).await;
    let dog = unique("dog");
    let (mut peer, client) = (agent(&dog, json!({})).await, client(Value::Null).await);
    let amqp = Amqp::connect(through).options(options()).await.unwrap();
    let caller = Endpoint::builder(unique("caller")).bind(Native::gofer(), amqp, Trust::insecure()).start().await.unwrap();
    let dogs: DogClient = caller.client(dog.as_str());

    let mut call = dogs.cancellable(600.0).send().await.unwrap();
    for expected in [Update::Accepted, Update::Started] {
        assert_eq!(soon("a status comes", call.next()).await.unwrap().unwrap(), expected);
    }
    let replyto = peer.got().await.0["replyto"].as_str().unwrap().to_owned();
    proxy.refuse(true);
    proxy.cut();
    // Its end is said while nobody is there to hear it.
    soon("the broker has noticed", async {
        while client.ask(json!({"do": "depth", "queue": replyto})).await["consumers"] != 0 {}
    })
    .await;
    let cancelled = client.call(&dog, "Admin.cancel", json!([call.sn().to_string()]), json!({})).await;
    assert_eq!(cancelled["retval"], json!([call.sn().to_string()]), "{cancelled}");
    // Its one thread answers this when it has answered that.
    let behind = client.call(&dog, "Dog.bark", json!(["behind"]), json!({})).await;
    assert!(behind["retval"].is_string(), "{behind}");
    proxy.refuse(false);
    assert_eq!(soon("the reply comes", call.into_future()).await.unwrap(), "cancelled");
    // And the next call is answered at the same place.
    let barking = dogs.bark("again");
    assert!(soon("it goes on", barking.into_future()).await.unwrap().contains("again"));
    let again = loop {
        let (request, _) = peer.got().await;
        if request["routing"][0].is_string() {
            break request;
        }
    };
    assert_eq!(again["replyto"], replyto, "{again}");
    depth(&client, &replyto, 0).await;
}
