//! What the parts of a call cost, one at a time in one thread.

use std::{hint::black_box, process::ExitCode};

use bytes::Bytes;
use rmi_benches::{
    Error, PAYLOADS,
    curve::Curve,
    options::{self, Options},
    process,
    rmi::CALLER,
    spread::Spread,
    tap::{self, Captured},
};
use rmi_core::{
    Address, Ed25519, Json, Keyring, Memory, Native,
    message::Sn,
    protocol::Protocol,
    seal::{Authenticator, PrivateKey, Sealed, Signature, Wrapped, peel, wrap},
    time::{Clock, SystemClock, Timestamp},
    transport::{Destination, Disposition, Frame, Purpose, Source, Subscription, Transport},
};
use tokio::runtime::{self, Runtime};

/// Something that is done so many times in a row.
struct Part {
    name: String,
    /// How many bytes it goes through each time, where that says something.
    bytes: Option<usize>,
    repeat: Box<dyn FnMut(u32)>,
}

impl Part {
    fn new<T>(name: impl Into<String>, bytes: Option<usize>, mut once: impl FnMut() -> T + 'static) -> Self {
        let repeat = move |times| {
            for _ in 0..times {
                black_box(once());
            }
        };
        Part { name: name.into(), bytes, repeat: Box::new(repeat) }
    }

    /// CPU time for so many times, in nanoseconds. No part has more than this thread.
    fn time(&mut self, times: u32) -> f64 {
        let begun = process::thread_cpu();
        (self.repeat)(times);
        process::thread_cpu().saturating_sub(begun).as_secs_f64() * 1e9
    }
}

fn main() -> ExitCode {
    options::run(bench)
}

fn bench(options: &Options) -> Result<(), Error> {
    let window = options.window / 4;
    println!("parts: {options}; {}", process::machine());
    let mut parts = parts()?;
    parts.retain(|part| options.wants(&part.name));
    let nanos = window.as_secs_f64() * 1e9;
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); parts.len()];
    let repetitions: Vec<u32> = parts.iter_mut().map(|part| repetitions(part, nanos)).collect();
    for _ in 0..options.rounds {
        for (at, part) in parts.iter_mut().enumerate() {
            times[at].push(part.time(repetitions[at]) / f64::from(repetitions[at]));
        }
    }
    println!("\n{:<46} {:<34} {:>8}", "part", "CPU ns: min / median / max", "MB/s");
    for (part, times) in parts.iter().zip(times) {
        let Some(spread) = Spread::of(times) else { continue };
        let speed = part.bytes.map_or_else(String::new, |bytes| format!("{:.0}", bytes as f64 * 1e3 / spread.median));
        println!("{:<46} {spread:<34} {speed:>8}", part.name);
    }
    Ok(())
}

/// How often a part fits into the window. Warms it up on the way.
fn repetitions(part: &mut Part, nanos: f64) -> u32 {
    let mut times = 1;
    loop {
        let spent = part.time(times);
        if spent > nanos / 8.0 || times > u32::MAX / 2 {
            return ((nanos / spent * f64::from(times)) as u32).max(1);
        }
        times *= 2;
    }
}

fn parts() -> Result<Vec<Part>, Error> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let mut parts = vec![
        Part::new("serial number", None, || Sn::from(SystemClock.id())),
        Part::new("timestamp: now", None, || SystemClock.now()),
        Part::new("timestamp: write", None, || black_box(Timestamp::from_millis(1_763_683_200_123)).to_millis()),
        Part::new("timestamp: read", None, || Timestamp::parse(black_box("2026-11-21T02:42:17.123Z"))),
    ];
    for payload in PAYLOADS {
        let [request, outcome] = runtime.block_on(tap::call(payload))?;
        values(&mut parts, payload)?;
        envelope(&mut parts, &format!("request, {payload} B"), &request);
        envelope(&mut parts, &format!("outcome, {payload} B"), &outcome);
        seal(&mut parts, &format!("request, {payload} B"), &request)?;
    }
    for payload in PAYLOADS {
        let [request, _] = runtime.block_on(tap::call(payload))?;
        parts.push(bus(&format!("bus: publish, receive, settle, {payload} B"), request.text.into_bytes())?);
    }
    Ok(parts)
}

/// Arguments and results.
fn values(parts: &mut Vec<Part>, payload: usize) -> Result<(), Error> {
    let text = rmi_benches::text(payload);
    let json = Json::encode(&text)?;
    parts.push(Part::new(format!("value: to JSON, {payload} B"), Some(payload), move || Json::encode(black_box(&text))));
    parts.push(Part::new(format!("value: from JSON, {payload} B"), Some(payload), move || json.decode::<String>()));
    Ok(())
}

fn envelope(parts: &mut Vec<Part>, what: &str, captured: &Captured) {
    let (native, size) = (Native::default(), Some(captured.text.len()));
    let (message, again) = (captured.message.clone(), native.clone());
    parts.push(Part::new(format!("envelope: encode {what}"), size, move || native.encode(black_box(&message))));
    let delivery = tap::delivery(&captured.text);
    parts.push(Part::new(format!("envelope: decode {what}"), size, move || again.decode(black_box(&delivery))));
}

fn seal(parts: &mut Vec<Part>, what: &str, captured: &Captured) -> Result<(), Error> {
    let (text, sealed) = (captured.text.clone(), captured.sealed.clone());
    let size = Some(text.len());
    let Wrapped::Sealed { signature, .. } = peel(sealed.clone())? else { return Err("what is sealed is plain".into()) };
    let curve = Curve::new([text.as_bytes()])?;
    let key = PrivateKey::generate()?;
    let keyring = Keyring::new();
    keyring.trust(CALLER, key.public())?;
    let authenticator = Ed25519::new(key, keyring);
    let own = authenticator.sign(&[text.as_bytes()])?.pop().ok_or("nothing was signed")?;
    verify(&authenticator, text.as_bytes(), &own)?;

    let (plain, wrapper) = (text.clone(), signature);
    parts.push(Part::new(format!("wrapper: wrap {what}"), size, move || wrap(black_box(&plain), &wrapper)));
    parts.push(Part::new(format!("wrapper: peel {what}"), size, move || peel(black_box(&sealed).clone())));
    let plain = text.clone().into_bytes();
    parts.push(Part::new(format!("wrapper: none to peel {what}"), size, move || peel(black_box(&plain).clone())));
    let curves = curve.clone();
    parts.push(Part::new(format!("curve: sign {what}"), size, move || curve.sign()));
    parts.push(Part::new(format!("curve: verify strictly {what}"), size, move || curves.verify()));
    let (signer, plain) = (authenticator.clone(), text.clone());
    parts.push(Part::new(format!("seal: sign {what}"), size, move || signer.sign(&[black_box(plain.as_bytes())])));
    let (verifier, plain) = (authenticator.clone(), text.clone());
    parts.push(Part::new(format!("seal: verify {what}"), size, move || verify(&verifier, black_box(plain.as_bytes()), &own)));
    let round_trip = move || -> Result<(), Error> {
        let signature = authenticator.sign(&[text.as_bytes()])?.pop().ok_or("nothing was signed")?;
        match peel(wrap(&text, &signature))? {
            Wrapped::Sealed { text, signature } => verify(&authenticator, text.as_bytes(), &signature),
            Wrapped::Plain(_) => Err("what is sealed is plain".into()),
        }
    };
    parts.push(Part::new(format!("seal: sign, wrap, peel, verify {what}"), size, round_trip));
    Ok(())
}

fn verify(authenticator: &Ed25519, text: &[u8], signature: &Signature) -> Result<(), Error> {
    let sealed = Sealed { text, signature, sender: Some(CALLER) };
    let verdict = authenticator.verify(&[sealed]).pop().ok_or("no verdict")?;
    verdict.map(drop).map_err(Error::from)
}

/// One frame at a time, from one seat to itself.
fn bus(name: &str, payload: Bytes) -> Result<Part, Error> {
    let runtime: Runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let memory = Memory::new();
    let to = Address::from("queue");
    let subscription = Subscription::new(Source::Address(to.clone()), Purpose::Requests).acknowledged(true);
    let mut deliveries = runtime.block_on(memory.subscribe(subscription))?;
    let mut batch = Vec::new();
    let repeat = move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                let _ = black_box(memory.publish(Frame::new(Destination::Address(to.clone()), payload.clone())).await);
                let _ = black_box(deliveries.recv(&mut batch, 64).await);
                batch.drain(..).for_each(|delivery| delivery.acker.settle(Disposition::Ack));
            }
        });
    };
    Ok(Part { name: name.to_owned(), bytes: None, repeat: Box::new(repeat) })
}
