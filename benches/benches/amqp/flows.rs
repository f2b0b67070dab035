use std::path::Path;

use rmi_amqp::Amqp;
use rmi_benches::{
    Error,
    broker::Broker,
    flow,
    grid::{self, Column, Goal},
    load::{Load, Sample},
    options::Options,
    peers::{Bodies, Guarantees, LapinFlow, Pika},
    rmi::{EventFlow, OneWayFlow, Sealing},
};
use tokio::runtime::Runtime;

use super::frames::Frames;

/// What is measured, in the order in which it runs. The number is that of the receivers, each of which gets everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    RawEvent1,
    /// The same, confirmed.
    RawConfirmed1,
    /// By the transport alone.
    Frames1,
    FramesConfirmed1,
    Event1,
    RawEvent8,
    Event8,
    RawOneWay,
    OneWay,
    RawOneWaySafest,
    OneWaySafest,
    PikaEvent1,
    PikaEvent8,
    PikaOneWaySafest,
    SignedEvent1,
    SignedEvent8,
    SignedOneWay,
}

impl grid::Case for Case {
    const ALL: &[Case] = &[
        Case::RawEvent1,
        Case::RawConfirmed1,
        Case::Frames1,
        Case::FramesConfirmed1,
        Case::Event1,
        Case::RawEvent8,
        Case::Event8,
        Case::RawOneWay,
        Case::OneWay,
        Case::RawOneWaySafest,
        Case::OneWaySafest,
        Case::PikaEvent1,
        Case::PikaEvent8,
        Case::PikaOneWaySafest,
        Case::SignedEvent1,
        Case::SignedEvent8,
        Case::SignedOneWay,
    ];
    const FLOOR: Case = Case::RawEvent1;
    const UNIT: &'static str = "messages/s";

    fn name(self) -> &'static str {
        match self {
            Case::RawEvent1 => "raw-event1",
            Case::RawConfirmed1 => "raw-confirmed1",
            Case::Frames1 => "frames1",
            Case::FramesConfirmed1 => "frames-confirmed1",
            Case::Event1 => "event1",
            Case::RawEvent8 => "raw-event8",
            Case::Event8 => "event8",
            Case::RawOneWay => "raw-oneway",
            Case::OneWay => "oneway",
            Case::RawOneWaySafest => "raw-oneway-safest",
            Case::OneWaySafest => "oneway-safest",
            Case::PikaEvent1 => "pika-event1",
            Case::PikaEvent8 => "pika-event8",
            Case::PikaOneWaySafest => "pika-oneway-safest",
            Case::SignedEvent1 => "event1-signed",
            Case::SignedEvent8 => "event8-signed",
            Case::SignedOneWay => "oneway-signed",
        }
    }

    /// The ceiling is that of a call, with two signatures and two verifications: of none of these.
    fn is_signed(self) -> bool {
        false
    }
}

/// Those that need Python.
pub(crate) const PIKA: [Case; 3] = [Case::PikaEvent1, Case::PikaEvent8, Case::PikaOneWaySafest];

pub(crate) const COLUMNS: [Column<Case>; 4] = [
    Column { head: "to raw-event1", to: Case::RawEvent1, figure: |s| s.throughput },
    Column { head: "to raw-event8", to: Case::RawEvent8, figure: |s| s.throughput },
    Column { head: "to raw-oneway", to: Case::RawOneWay, figure: |s| s.throughput },
    Column { head: "to raw-oneway-safest", to: Case::RawOneWaySafest, figure: |s| s.throughput },
];

const MANY: &[usize] = &[16, 64, 256];

/// F1, A5 and F2.
pub(crate) const GOALS: [Goal<Case>; 8] = [
    Goal::throughput(Case::Frames1, Case::RawEvent1, 0.9).at(MANY),
    Goal::throughput(Case::FramesConfirmed1, Case::RawConfirmed1, 0.9).at(MANY),
    Goal::throughput(Case::FramesConfirmed1, Case::Frames1, 0.7).at(MANY),
    Goal::throughput(Case::Event1, Case::RawEvent1, 0.9).at(MANY),
    Goal::throughput(Case::OneWay, Case::RawOneWay, 0.9).at(MANY),
    Goal::throughput(Case::OneWaySafest, Case::RawOneWaySafest, 0.9).at(MANY),
    Goal::throughput(Case::Event8, Case::RawEvent8, 0.9).at(MANY),
    Goal::throughput(Case::SignedEvent8, Case::RawEvent8, 0.26).at(MANY),
];

/// All that messages flow by.
pub(crate) struct Flows {
    broker: Option<u32>,
    raw_events: [LapinFlow; 3],
    raw_one_way: [LapinFlow; 2],
    frames: [Frames; 2],
    events: [EventFlow; 4],
    one_way: [OneWayFlow; 3],
    pika: [Option<Pika>; 3],
}

impl Flows {
    pub(crate) async fn start(broker: &Broker, python: Option<&Path>, options: &Options) -> Result<Self, Error> {
        let url = broker.url();
        let event = EventFlow::besides().await?;
        let one_way = OneWayFlow::besides().await?;
        let pika = |kind: &str, safest: bool, case: Case| {
            let bodies = Bodies { request: if kind == "one-way" { one_way } else { event }, reply: 0 };
            let python = python.filter(|_| grid::wants(options, case));
            python.map(|python| Pika::start(python, broker, kind, safest, bodies)).transpose()
        };
        let connect = || Amqp::connect(url).options(super::transient());
        let connect_safest = || Amqp::connect(url).options(super::safest());
        let events = async |sealing, flock, receivers| {
            EventFlow::start(connect().await?, connect().await?, sealing, flock, receivers).await
        };
        Ok(Flows {
            broker: broker.pid(),
            raw_events: [
                LapinFlow::to_all(url, 1, false, event).await?,
                LapinFlow::to_all(url, 1, true, event).await?,
                LapinFlow::to_all(url, 8, false, event).await?,
            ],
            raw_one_way: [
                LapinFlow::to_one(url, Guarantees::TRANSIENT, one_way).await?,
                LapinFlow::to_one(url, Guarantees::SAFEST, one_way).await?,
            ],
            frames: [
                Frames::start(connect().await?, connect().await?, false, event).await?,
                Frames::start(connect().await?, connect().await?, true, event).await?,
            ],
            events: [
                events(Sealing::Unsigned, 1, 1).await?,
                events(Sealing::Unsigned, 2, 8).await?,
                events(Sealing::Signed, 3, 1).await?,
                events(Sealing::Signed, 4, 8).await?,
            ],
            one_way: [
                OneWayFlow::start(connect().await?, connect().await?, Sealing::Unsigned, 1).await?,
                OneWayFlow::start(connect_safest().await?, connect_safest().await?, Sealing::Unsigned, 2).await?,
                OneWayFlow::start(connect().await?, connect().await?, Sealing::Signed, 3).await?,
            ],
            pika: [
                pika("events1", false, Case::PikaEvent1)?,
                pika("events8", false, Case::PikaEvent8)?,
                pika("one-way", true, Case::PikaOneWaySafest)?,
            ],
        })
    }

    pub(crate) async fn stop(self) -> Result<(), Error> {
        for flow in self.frames {
            flow.stop().await?;
        }
        for flow in self.events {
            flow.stop().await?;
        }
        for flow in self.one_way {
            flow.stop().await?;
        }
        Ok(())
    }
}

impl grid::Callees for Flows {
    type Case = Case;

    fn put(&self, runtime: &Runtime, case: Case, load: Load) -> Result<Option<Sample>, Error> {
        let raw = |flow: &LapinFlow| flow::put(runtime, flow, flow.way(), load, self.broker).map(Some);
        let frames = |flow: &Frames| flow::put(runtime, flow, flow.way(), load, self.broker).map(Some);
        let events = |flow: &EventFlow| flow::put(runtime, flow, flow.way(), load, self.broker).map(Some);
        let one_way = |flow: &OneWayFlow| flow::put(runtime, flow, flow.way(), load, self.broker).map(Some);
        // Python publishes from one thread: it has one message under way, however many are asked for.
        let pika = |pika: &Option<Pika>| pika.as_ref().map(|pika| pika.put(load)).transpose();
        match case {
            Case::RawEvent1 => raw(&self.raw_events[0]),
            Case::RawConfirmed1 => raw(&self.raw_events[1]),
            Case::Frames1 => frames(&self.frames[0]),
            Case::FramesConfirmed1 => frames(&self.frames[1]),
            Case::RawEvent8 => raw(&self.raw_events[2]),
            Case::Event1 => events(&self.events[0]),
            Case::Event8 => events(&self.events[1]),
            Case::SignedEvent1 => events(&self.events[2]),
            Case::SignedEvent8 => events(&self.events[3]),
            Case::RawOneWay => raw(&self.raw_one_way[0]),
            Case::RawOneWaySafest => raw(&self.raw_one_way[1]),
            Case::OneWay => one_way(&self.one_way[0]),
            Case::OneWaySafest => one_way(&self.one_way[1]),
            Case::SignedOneWay => one_way(&self.one_way[2]),
            Case::PikaEvent1 => pika(&self.pika[0]),
            Case::PikaEvent8 => pika(&self.pika[1]),
            Case::PikaOneWaySafest => pika(&self.pika[2]),
        }
    }
}
