//! What is done to a broker from inside, and asked of it there: within milliseconds, where `rabbitmqctl` starts a machine of its own,
//! which takes a second or, while others work, several.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use super::Rabbit;

/// What a broker holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Connections to it.
    pub connections: usize,
    /// Their channels.
    pub channels: usize,
    /// Queues.
    pub queues: usize,
    /// Their consumers.
    pub consumers: usize,
}

impl Rabbit {
    /// Evaluates an expression of Erlang in the broker, and returns its value as Erlang writes it.
    ///
    /// # Panics
    ///
    /// It cannot be evaluated.
    pub fn eval(&self, expression: &str) -> String {
        let mut command = Command::new("erl_call");
        command.args(["-sname", &self.node(), "-c", &self.cookie, "-e"]);
        command.env("ERL_EPMD_PORT", self.mapper.to_string()).env("HOME", &self.home);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut call = command.spawn().expect("erl_call is there: it comes with Erlang (Debian: erlang-base)");
        call.stdin.take().unwrap().write_all(format!("{expression}.\n").as_bytes()).unwrap();
        let done = call.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        let value = out.trim().strip_prefix("{ok, ").and_then(|value| value.strip_suffix('}'));
        value.unwrap_or_else(|| panic!("{expression}: {out}{err}")).to_owned()
    }

    /// Closes every connection, as an operator does.
    pub fn close_connections(&self) {
        self.eval(
            r#"[ok = rabbit_networking:close_connection(Pid, "the test wants it") || Pid <- rabbit_networking:connections()]"#,
        );
    }

    /// Deletes a queue, whoever uses it.
    pub fn delete_queue(&self, name: &str) {
        self.eval(&format!(
            r#"{{ok, Queue}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"{name}">>)),
            {{ok, _}} = rabbit_amqqueue:delete(Queue, false, false, <<"the test">>)"#
        ));
    }

    /// The names of its queues.
    #[must_use]
    pub fn queues(&self) -> Vec<String> {
        // As one atom, which is not taken for a list of numbers.
        let names = self.eval(
            r#"list_to_atom(lists:flatten(lists:join(" ",
            [binary_to_list(element(4, amqqueue:get_name(Queue))) || Queue <- rabbit_amqqueue:list()])))"#,
        );
        names.trim_matches('\'').split_whitespace().map(str::to_owned).collect()
    }

    /// Says how much of the machine's memory it may take before it takes no more messages.
    pub fn memory_limit(&self, part: f64) {
        self.eval(&format!("vm_memory_monitor:set_vm_memory_high_watermark({part:.1})"));
    }

    /// How much it holds.
    #[must_use]
    pub fn held(&self) -> Held {
        let counts = self.eval(
            r#"{length(rabbit_networking:connections()), length(rabbit_channel:list()), length(rabbit_amqqueue:list()),
            length(rabbit_amqqueue:consumers_all(<<"/">>))}"#,
        );
        let counts: Vec<usize> =
            counts.trim_matches(['{', '}']).split(',').map(|count| count.trim().parse().expect("it is a number")).collect();
        let [connections, channels, queues, consumers] = counts[..] else { panic!("four numbers: {counts:?}") };
        Held { connections, channels, queues, consumers }
    }
}
