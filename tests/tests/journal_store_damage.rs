//! A journal whose file is damaged: what can be read is recovered, the rest is named and set aside, and the endpoint starts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use rmi_core::journal::{Durable, Journal, JournalErrorKind, Recovered, RequestId, State, Step};
use rmi_tests::steps::{Model, accepted, concluded, confirmed, script, started};
use tempfile::tempdir;

const STORE: &str = "journal.redb";

fn corrupt(path: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "corrupt")).collect()
}

/// `SplitMix64`.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The file of a busy agent's journal, closed or as a crash leaves it; what was in it after each call; and its identity.
async fn busy(crashed: bool) -> (Vec<u8>, Vec<Recovered>, Vec<u8>) {
    let directory = tempdir().unwrap();
    let journal = Durable::open(directory.path()).unwrap();
    let (mut model, mut states) = (Model::default(), vec![Recovered::default()]);
    for call in script(60) {
        model.take(&call);
        journal.record(call).await.unwrap();
        states.push(model.read());
    }
    if !crashed {
        journal.close().await.unwrap();
    }
    let read = |name| fs::read(directory.path().join(name)).unwrap();
    (read(STORE), states, read("identity"))
}

/// What may be said of a journal that was damaged: what was there at some time; or, where the file is not what it was, nothing that
/// was not so.
fn is_honest(after: &Recovered, states: &[Recovered], aside: usize) -> Result<bool, String> {
    if after.lost.is_empty() {
        return if states.contains(after) { Ok(false) } else { Err("it was never so, and nothing is named as lost".to_owned()) };
    }
    if aside == 0 {
        return Err("something is lost, and nothing was set aside".to_owned());
    }
    let mut entries = BTreeMap::new();
    let mut outcomes: BTreeMap<RequestId, State> = BTreeMap::new();
    for request in states.iter().flat_map(|state| &state.requests) {
        entries.insert(request.id, request.entry.clone());
        if request.state != State::Open {
            outcomes.insert(request.id, request.state.clone());
        }
    }
    for request in &after.requests {
        if entries.get(&request.id) != Some(&request.entry) {
            return Err(format!("there was no request like {request:?}"));
        }
        match &request.state {
            State::Faded => {}
            State::Concluded(_) if outcomes.get(&request.id) == Some(&request.state) => {}
            other => return Err(format!("request {} is {other:?}", request.id)),
        }
        if request.accepted.is_some() {
            return Err(format!("request {} would be run or answered again", request.id));
        }
    }
    Ok(true)
}

#[test]
fn whatever_happens_to_the_file_the_journal_opens() {
    let (done, watch) = mpsc::channel();
    // No hang: whoever opens a damaged file gets an answer.
    let work = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(damage_everything());
        let _ = done.send(());
    });
    match watch.recv_timeout(Duration::from_secs(600)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("a damaged journal hangs"),
        _ => work.join().unwrap(),
    }
}

async fn damage_everything() {
    let (mut lost, mut whole, mut rows) = (0, 0, 0);
    for crashed in [false, true] {
        let (store, states, identity) = busy(crashed).await;
        for seed in 0..150_u64 {
            let mut random = seed + if crashed { 1 << 32 } else { 0 };
            let mut bytes = store.clone();
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
            match seed % 5 {
                // Some bits.
                0 | 1 => {
                    for _ in 0..=seed % 8 {
                        let at = next(&mut random) % used;
                        bytes[usize::try_from(at).unwrap()] ^= 1 << (next(&mut random) % 8);
                    }
                }
                // A sector.
                2 => {
                    let at = usize::try_from(next(&mut random) % used / 512 * 512).unwrap();
                    for byte in bytes.iter_mut().skip(at).take(512) {
                        *byte = u8::try_from(next(&mut random) % 256).unwrap();
                    }
                }
                // Its end.
                3 => bytes.truncate(usize::try_from(next(&mut random) % bytes.len() as u64).unwrap()),
                // Its beginning: both commit slots, or one.
                _ => {
                    for byte in bytes.iter_mut().skip(64 + 128 * usize::try_from(seed % 2).unwrap()).take(128 << (seed % 3 / 2)) {
                        *byte = u8::try_from(next(&mut random) % 256).unwrap();
                    }
                }
            }
            let directory = tempdir().unwrap();
            fs::write(directory.path().join(STORE), &bytes).unwrap();
            fs::write(directory.path().join("identity"), &identity).unwrap();
            let journal = match Durable::open(directory.path()) {
                Ok(journal) => journal,
                // A file that says that it is of another version is not ours to judge.
                Err(error) if error.kind == JournalErrorKind::Version => continue,
                Err(error) => panic!("seed {seed}, crashed {crashed}: {error}"),
            };
            let after = journal.recover().await.unwrap();
            match is_honest(&after, &states, corrupt(directory.path()).len()) {
                Ok(true) => {
                    lost += 1;
                    rows += after.requests.len();
                }
                Ok(false) => whole += 1,
                Err(why) => panic!("seed {seed}, crashed {crashed}: {why}"),
            }
            // It is a journal like any other, and the next start finds nothing wrong.
            journal.record(vec![accepted(10_000)]).await.unwrap();
            journal.close().await.unwrap();
            let journal = Durable::open(directory.path()).unwrap();
            let again = journal.recover().await.unwrap();
            assert!(again.lost.is_empty(), "seed {seed}: {:?}", again.lost);
            assert_eq!(again.requests.len(), after.requests.len() + 1, "seed {seed}");
            journal.close().await.unwrap();
        }
    }
    println!(
        "of 300 damaged journals {whole} were as they had been at some time, {lost} had lost something; {rows} requests of those were still known"
    );
    assert!(lost > 100 && rows > 100, "{lost} {rows}");
}

#[tokio::test]
async fn a_file_that_is_no_journal_is_set_aside() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join(STORE), b"this is no journal at all").unwrap();
    let journal = Durable::open(directory.path()).unwrap();
    let recovered = journal.recover().await.unwrap();
    assert_eq!(recovered.lost.records, 1);
    let [aside] = &corrupt(directory.path())[..] else { panic!("nothing was set aside") };
    assert!(recovered.lost.named[0].contains(aside.to_str().unwrap()), "it is named: {:?}", recovered.lost.named);
    assert_eq!(fs::read(aside).unwrap(), b"this is no journal at all", "and kept as it was");
    journal.record(vec![accepted(1)]).await.unwrap();
    assert!(journal.recover().await.unwrap().lost.is_empty(), "until somebody has written down what follows");
}

#[tokio::test]
async fn of_a_damaged_file_is_known_how_requests_ended() {
    let directory = tempdir().unwrap();
    let journal = Durable::open(directory.path()).unwrap();
    let floor = Step::Floor { binding: "native".into(), principal: None, at: rmi_core::time::Timestamp::from_millis(77) };
    journal
        .record(vec![accepted(1), started(1), concluded(1), confirmed(1), accepted(2), started(2), accepted(3), floor])
        .await
        .unwrap();
    let before = journal.recover().await.unwrap();
    journal.close().await.unwrap();
    // Nothing of what says where things are.
    let store = directory.path().join(STORE);
    let mut bytes = fs::read(&store).unwrap();
    bytes[..512].fill(0xA5);
    fs::write(&store, bytes).unwrap();
    let journal = Durable::open(directory.path()).unwrap();
    let after = journal.recover().await.unwrap();
    assert!(!after.lost.is_empty());
    assert_eq!(after.floors, before.floors);
    let known: Vec<_> =
        after.requests.iter().map(|request| (request.id, request.state.clone(), request.accepted.is_some())).collect();
    // The first has its outcome. Of the others nobody knows how far they came: they are not run, and not answered again.
    assert_eq!(
        known,
        [
            (RequestId(1), before.requests[0].state.clone(), false),
            (RequestId(2), State::Faded, false),
            (RequestId(3), State::Faded, false)
        ]
    );
    assert_eq!(after.requests[0].entry, before.requests[0].entry);
}

/// What a fault in memory does, or a mistake of the store's: its checksums hold, and what it holds is wrong.
#[tokio::test]
async fn rows_that_cannot_be_read_are_set_aside() {
    let directory = tempdir().unwrap();
    let journal = Durable::open(directory.path()).unwrap();
    journal.record(vec![accepted(1), accepted(2), started(2), accepted(3), started(3), concluded(3), accepted(4)]).await.unwrap();
    journal.close().await.unwrap();
    let damage = |id: u64, part: u8| {
        use redb::ReadableTable;
        let database = redb::Database::open(directory.path().join(STORE)).unwrap();
        let write = database.begin_write().unwrap();
        {
            let mut rows = write.open_table(redb::TableDefinition::<&[u8], &[u8]>::new("rows")).unwrap();
            let key = [&b"r"[..], &id.to_be_bytes(), &[part]].concat();
            let mut value = rows.get(&key[..]).unwrap().expect("there is such a row").value().to_vec();
            *value.last_mut().unwrap() ^= 1;
            rows.insert(&key[..], &value[..]).unwrap();
        }
        write.commit().unwrap();
    };
    // What it is known by; that it was started; how it ended.
    damage(1, 0);
    damage(2, 2);
    damage(3, 5);
    let journal = Durable::open(directory.path()).unwrap();
    let first = journal.recover().await.unwrap();
    assert_eq!(first.lost.records, 4, "three rows, and a request of which nothing is known: {:?}", first.lost);
    let so = |recovered: &Recovered| -> Vec<_> {
        recovered.requests.iter().map(|r| (r.id.0, r.attempts, r.state.clone(), r.accepted.is_some())).collect()
    };
    // What cannot be read is taken for the worst: that it was started, that it has run.
    let expected = vec![(2, 1, State::Open, true), (3, 1, State::Faded, true), (4, 0, State::Open, true)];
    assert_eq!(so(&first), expected);
    let [aside] = &corrupt(directory.path())[..] else { panic!("nothing was set aside") };
    let lines = fs::read_to_string(aside).unwrap();
    assert_eq!(lines.lines().filter(|line| line.starts_with("72")).count(), 3, "{lines}");
    // It stays so, and is said until something is written down.
    journal.record(vec![Step::Forgotten { id: RequestId(9) }]).await.unwrap();
    journal.close().await.unwrap();
    let again = Durable::open(directory.path()).unwrap().recover().await.unwrap();
    assert_eq!((so(&again), again.lost.records), (expected, 0));
    assert_eq!(corrupt(directory.path()).len(), 1);
}

#[tokio::test]
async fn what_peers_send_is_not_taken_for_a_journal() {
    let directory = tempdir().unwrap();
    let journal = Durable::open(directory.path()).unwrap();
    journal.record(vec![accepted(1), concluded(1)]).await.unwrap();
    journal.close().await.unwrap();
    // A file that a peer has made, with its requests and their outcomes: all of it, page by page, is in a payload of ours.
    let forged = fs::read(directory.path().join(STORE)).unwrap();
    let victim = async |padding: usize| {
        let directory = tempdir().unwrap();
        let journal = Durable::open(directory.path()).unwrap();
        let Step::Accepted { id, mut request } = accepted(2) else { unreachable!() };
        request.received.payload = [vec![b' '; padding], forged.clone()].concat().into();
        journal.record(vec![Step::Accepted { id, request }]).await.unwrap();
        journal.close().await.unwrap();
        let bytes = fs::read(directory.path().join(STORE)).unwrap();
        let at = (1..bytes.len()).find(|at| bytes[*at..].starts_with(&forged[..9])).expect("the payload is in the file");
        (directory, bytes, at)
    };
    // Its pages lie where pages of ours begin.
    let (_, _, at) = victim(0).await;
    let (victim, mut bytes, at) = victim(4096 - at % 4096).await;
    assert_eq!(at % 4096, 0);
    bytes[..512].fill(0xA5);
    fs::write(victim.path().join(STORE), bytes).unwrap();
    let after = Durable::open(victim.path()).unwrap().recover().await.unwrap();
    assert!(!after.lost.is_empty());
    assert!(after.requests.iter().all(|request| request.id == RequestId(2)), "{:?}", after.requests);
}

#[tokio::test]
async fn what_is_set_aside_is_bounded() {
    let directory = tempdir().unwrap();
    for _ in 0..20 {
        fs::write(directory.path().join(STORE), b"this is no journal at all").unwrap();
        Durable::open(directory.path()).unwrap().close().await.unwrap();
    }
    let kept = corrupt(directory.path()).len();
    assert!((8..=16).contains(&kept), "{kept} are kept");
}

#[tokio::test]
async fn a_journal_whose_file_is_gone_says_so() {
    let directory = tempdir().unwrap();
    let journal = Durable::open(directory.path()).unwrap();
    journal.record(vec![accepted(1)]).await.unwrap();
    journal.close().await.unwrap();
    fs::remove_file(directory.path().join(STORE)).unwrap();
    let journal = Durable::open(directory.path()).unwrap();
    let recovered = journal.recover().await.unwrap();
    assert_eq!((recovered.requests.len(), recovered.lost.records), (0, 1));
    assert!(recovered.lost.named[0].contains("gone"), "{:?}", recovered.lost);
}

/// A program that ends after it has opened its journal, and before it has written down what follows from what is lost.
#[tokio::test]
async fn what_is_lost_is_said_until_somebody_has_acted_on_it() {
    for (gone, recovers) in [(true, false), (true, true), (false, false), (false, true)] {
        let directory = tempdir().unwrap();
        let journal = Durable::open(directory.path()).unwrap();
        journal.record(vec![accepted(1)]).await.unwrap();
        journal.close().await.unwrap();
        let store = directory.path().join(STORE);
        if gone {
            fs::remove_file(&store).unwrap()
        } else {
            fs::write(&store, "nothing of the kind").unwrap()
        }
        for _ in 0..2 {
            let journal = Durable::open(directory.path()).unwrap();
            if recovers {
                assert_eq!(journal.recover().await.unwrap().lost.records, 1);
            }
            journal.close().await.unwrap();
        }
        let journal = Durable::open(directory.path()).unwrap();
        assert_eq!(journal.recover().await.unwrap().lost.records, 1);
        journal.record(vec![accepted(2)]).await.unwrap();
        journal.close().await.unwrap();
        let recovered = Durable::open(directory.path()).unwrap().recover().await.unwrap();
        assert_eq!((recovered.requests.len(), recovered.lost.records), (1, 0), "gone: {gone}");
    }
}
