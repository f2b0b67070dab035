//! What the agent of 2013 served, as contracts, and an implementation that behaves as it did.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use rmi_core::{
    Context,
    contract::Contract,
    message::{Exception, Outcome, Rejection, RejectionCode, Request},
    remote,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

#[remote(name = "agent")]
pub(crate) trait Agent {
    #[remote(inline)]
    async fn status(&self) -> Result<Value, Infallible>;
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) disk: String,
}

#[remote(name = "standby")]
pub(crate) trait Standby {
    async fn cache_images(&self, image_ids: Vec<String>) -> Result<(), Infallible>;

    /// Goes on until it is let go, and says how far it is before.
    async fn prepare_image(&self, #[remote(context)] cx: &Context<Step>, image_id: String) -> Result<(), Exception>;

    async fn run_image(&self, image_id: String) -> Result<(), Infallible>;
}

#[remote(name = "server")]
pub(crate) trait Server {
    #[remote(oneway)]
    async fn log(&self, entry: Value);
}

pub(crate) const STATUS: &str = r#"{"uptime": 1.5, "version": "0.1-dev", "mode": "STANDBY"}"#;

/// The agent. A clone is the same one.
#[derive(Clone, Debug)]
pub(crate) struct Teeth {
    /// How many images may be prepared to their end.
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) logged: Arc<Mutex<Vec<Value>>>,
}

impl Default for Teeth {
    fn default() -> Self {
        Teeth { gate: Arc::new(Semaphore::new(0)), logged: Arc::default() }
    }
}

impl Agent for Teeth {
    async fn status(&self) -> Result<Value, Infallible> {
        Ok(serde_json::from_str(STATUS).unwrap())
    }
}

impl Standby for Teeth {
    async fn cache_images(&self, _: Vec<String>) -> Result<(), Infallible> {
        Ok(())
    }

    async fn prepare_image(&self, cx: &Context<Step>, image_id: String) -> Result<(), Exception> {
        for completed in 1..=4 {
            cx.progress(4, completed, Step { disk: "sda".into() });
        }
        self.gate.acquire().await.unwrap().forget();
        if image_id == "broken" { Err(Exception::new("rmi.standby", "Standby.Broken", "disk on fire")) } else { Ok(()) }
    }

    async fn run_image(&self, _: String) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Server for Teeth {
    async fn log(&self, entry: Value) {
        self.logged.lock().unwrap().push(entry);
    }
}

/// What each end serves.
pub(crate) fn contracts(server: bool) -> Vec<&'static Contract> {
    use rmi_core::Client;
    if server { vec![ServerClient::CONTRACT] } else { vec![AgentClient::CONTRACT, StandbyClient::CONTRACT] }
}

/// What the agent does with a request, where there is no endpoint. `None` when it goes on.
pub(crate) fn outcome(request: &Request) -> Option<Outcome> {
    let result = |value: Value| Some(Outcome::Result(value.into()));
    if request.class == "decom" {
        let details = "\"decom\" is not served by `agent`";
        return Some(Rejection::new(RejectionCode::UnknownClass, details).into());
    }
    let mut args = match request.args.reader(64) {
        Ok(args) => args,
        Err(rejection) => return Some(rejection.into()),
    };
    match &*request.method {
        _ if request.class == "any" => None,
        "status" => result(serde_json::from_str(STATUS).unwrap()),
        "cache_images" => match args.required::<Vec<String>>("image_ids") {
            Ok(_) => result(Value::Null),
            Err(rejection) => Some(rejection.into()),
        },
        "run_image" | "prepare_image" => match args.required::<String>("image_id") {
            Ok(_) if &*request.method == "prepare_image" => None,
            Ok(_) => result(Value::Null),
            Err(rejection) => Some(rejection.into()),
        },
        "log" => result(json!(null)),
        other => panic!("nobody serves {other}"),
    }
}
