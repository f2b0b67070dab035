use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use tonic::{
    Request, Response, Status,
    body::Body,
    client::Grpc,
    codegen::{BoxFuture, Service, StdError, http, http::uri::PathAndQuery},
    server::{Grpc as Serving, NamedService, UnaryService},
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

use crate::{Error, load::Echo};

const PATH: &str = "/rmi.Parrot/Echo";

/// Both messages: what a `.proto` file with one string would become.
#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

/// tonic over HTTP/2 on TCP, with its defaults. The stub and the server are what its generator writes, without the generator.
#[derive(Clone, Debug)]
pub struct Tonic(Channel);

/// One unary method.
#[derive(Clone)]
struct Parrot;

impl NamedService for Parrot {
    const NAME: &'static str = "rmi.Parrot";
}

impl UnaryService<Text> for Parrot {
    type Response = Text;
    type Future = BoxFuture<Response<Text>, Status>;

    fn call(&mut self, request: Request<Text>) -> Self::Future {
        Box::pin(async move { Ok(Response::new(request.into_inner())) })
    }
}

impl<B> Service<http::Request<B>> for Parrot
where
    B: tonic::codegen::Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        Box::pin(async move { Ok(Serving::new(ProstCodec::default()).unary(Parrot, request).await) })
    }
}

impl Tonic {
    /// Starts a server, and dials it.
    ///
    /// # Errors
    ///
    /// There is no TCP on this machine.
    pub async fn start() -> Result<Self, Error> {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into())?.with_nodelay(Some(true));
        let address = incoming.local_addr()?;
        tokio::spawn(Server::builder().add_service(Parrot).serve_with_incoming(incoming));
        Ok(Tonic(Endpoint::from_shared(format!("http://{address}"))?.connect().await?))
    }
}

impl Echo for Tonic {
    async fn echo(&self, text: String) -> Result<String, Error> {
        let mut grpc = Grpc::new(self.0.clone());
        grpc.ready().await?;
        let codec: ProstCodec<Text, Text> = ProstCodec::default();
        Ok(grpc.unary(Request::new(Text { text }), PathAndQuery::from_static(PATH), codec).await?.into_inner().text)
    }
}
