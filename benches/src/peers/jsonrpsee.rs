use std::{fmt, sync::Arc};

use jsonrpsee::{
    RpcModule,
    core::{client::ClientT, rpc_params},
    server::{Server, ServerHandle},
};
use jsonrpsee_ws_client::{WsClient, WsClientBuilder};

use crate::{Error, load::Echo};

/// jsonrpsee over a WebSocket on TCP, with a synchronous method, which it answers where it read the request.
#[derive(Clone)]
pub struct JsonRpsee(Arc<(WsClient, ServerHandle)>);

impl JsonRpsee {
    /// Starts a server, and dials it.
    ///
    /// # Errors
    ///
    /// There is no TCP on this machine.
    pub async fn start() -> Result<Self, Error> {
        let server = Server::builder().build("127.0.0.1:0").await?;
        let address = server.local_addr()?;
        let mut module = RpcModule::new(());
        module.register_method("echo", |params, (), _| params.one::<String>())?;
        let handle = server.start(module);
        let client = WsClientBuilder::default().max_concurrent_requests(1024).build(format!("ws://{address}")).await?;
        Ok(JsonRpsee(Arc::new((client, handle))))
    }
}

impl Echo for JsonRpsee {
    async fn echo(&self, text: String) -> Result<String, Error> {
        Ok(self.0.0.request("echo", rpc_params![text]).await?)
    }
}

impl fmt::Debug for JsonRpsee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonRpsee")
    }
}
