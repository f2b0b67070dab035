//! The code in `docs/gofer.md` is code that runs here.

use std::{convert::Infallible, error::Error, fs, path::Path, time::Duration};

use kennel::{Chance, DogArgs, DogClient, DogModuleServer, DogServer, Module};
use rmi_amqp::Amqp;
use rmi_core::{
    Endpoint, Keyring, Native, Trust,
    seal::{DigestKeys, Gofer, PrivateKey},
};
use serde_json::json;

use super::stage;

#[test]
fn every_block_of_the_guide_is_quoted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let guide = fs::read_to_string(root.join("docs/gofer.md")).unwrap();
    let blocks = guide.split("-->\n```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let blocks: Vec<_> = blocks.collect();
    assert_eq!((blocks.len(), guide.matches("```rust").count()), (3, 3));
    for block in blocks {
        assert!(include_str!("guide.rs").contains(block), "not here:\n{block}");
    }
}

#[tokio::test]
async fn an_agent_takes_the_place_of_gofers() -> Result<(), Box<dyn Error>> {
    let url = rmi_tests::amqp::url().await;
    let url = url.as_str();
    let agent = Endpoint::builder("dog")
        .bind(Native::default(), Amqp::connect(url).await?, Trust::insecure())
        .serve(DogServer::per_call(|me: DogArgs| Ok::<_, Infallible>(Chance::new(me, Default::default()))))
        .serve(DogModuleServer::new(Module))
        .start()
        .await?;
    let client = stage::client(serde_json::Value::Null).await;
    let barked = client.call("dog", "Dog.bark", json!(["hello"]), json!({})).await;
    assert!(barked["retval"].is_string(), "{barked}");
    let _ = agent.shutdown(stage::SECOND).await?;

    let _peer = stage::agent("dog", json!({})).await;
    let caller = Endpoint::builder("walker").bind(Native::gofer(), Amqp::connect(url).await?, Trust::insecure()).start().await?;
    let dog: DogClient = caller.client("dog");
    let barked = dog.bark("hello").accept_within(Duration::from_secs(20)).timeout(Duration::from_secs(3600)).await;
    assert!(barked?.contains("hello"));
    Ok(())
}

#[test]
fn keys_are_those_of_the_command_line() -> Result<(), Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let (key, trusted) = (home.path().join("walker.key"), home.path().join("trusted"));
    fs::create_dir(&trusted)?;
    let private = PrivateKey::generate()?;
    private.save(&key)?;
    fs::write(trusted.join("walker.pem"), private.public().to_pem()?)?;
    let keyring = Keyring::load(trusted)?;
    let keys = DigestKeys::new("walker", PrivateKey::load(key)?, keyring);
    let trust = Trust::sealed(Gofer::new(keys));
    assert!(trust.is_sealed());
    Ok(())
}
