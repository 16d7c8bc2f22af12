//! What happened in a run, or in many: faults, what people did, and what followed. Each has a least number per 1000 runs, because a
//! world in which nothing happens proves nothing.

macro_rules! tally {
    ($($field:ident: $least:literal,)*) => {
        /// Counts.
        #[derive(Clone, Copy, Debug, Default)]
        pub(crate) struct Tally {
            $(pub(crate) $field: u64,)*
        }

        impl Tally {
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }

            /// Name, count, and the least per 1000 runs.
            pub(crate) fn named(&self) -> Vec<(&'static str, u64, u64)> {
                vec![$((stringify!($field), self.$field, $least),)*]
            }
        }
    };
}

tally! {
    events: 100_000,
    packets: 100_000,
    // What goes wrong.
    host_crashes: 100,
    server_crashes: 100,
    guest_crashes: 100,
    signaling_crashes: 100,
    pauses: 100,
    mid_turn_pauses: 100,
    signal_cuts: 100,
    media_cuts: 100,
    one_way_cuts: 100,
    broken_sockets: 100,
    boot_jumps: 100,
    wall_jumps: 100,
    forgeries: 100,
    replays: 100,
    impostors: 20,
    lies: 50,
    // What people do.
    leaves: 100,
    kicks: 100,
    passes: 100,
    step_downs: 50,
    // What follows.
    kicked: 50,
    kept_out: 20,
    standstills: 100,
    withheld: 100,
    admissions: 1000,
    takeovers: 50,
    epochs: 1000,
    to_computer: 200,
    to_server: 200,
    between_computers: 50,
    moves: 100,
    fail_overs: 100,
    // How long it took after the last mishap, in milliseconds.
    quiet_ms: 1,
}
