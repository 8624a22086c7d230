//! Calls that have begun and not ended: told when they last, when their thread ends inside of them, and when the recording
//! does. Step: ring → **trace**.

use super::merge::{Merge, Names};
use crate::record::event::{Kind, Op};
use crate::record::ring::Call;
use crate::record::wire::Rec;

/// A call that lasts for so long is told of while it does.
const LASTS_NS: u64 = 100_000_000;

impl Merge {
    /// A thread may be inside this call; it is told once when it has lasted for long. Returns when the call that was told
    /// of was entered, which is `told` at the next time. What waits for a loop's events, or was named, has an event of its
    /// own at its beginning.
    pub fn lasts(
        &mut self,
        who: u64,
        call: Call,
        told: u64,
        now: u64,
        names: &mut dyn Names,
    ) -> u64 {
        let Some((op, _, _, entered)) = call.parts() else {
            return 0;
        };
        let inside = self.converter.duration(now.saturating_sub(entered));
        if entered == told || inside < LASTS_NS || matches!(op, Op::Wait | Op::Named) {
            return told;
        }
        self.in_call(who, call, now, names);
        entered
    }

    /// A thread has ended, or the recording does, inside this call; it may be all that is heard of the thread.
    pub fn in_call(&mut self, who: u64, call: Call, now: u64, names: &mut dyn Names) {
        let Some((op, name, fd, entered)) = call.parts().filter(|_| who != 0) else {
            return;
        };
        let place = self.roster.thread(who, names);
        let rec = Rec {
            kind: Kind::InCall,
            aux: op.code(),
            x: if op == Op::Named { name as i32 } else { 0 },
            // The other calls say in its place where they were made.
            site: if op == Op::Named { 0 } else { name as u16 },
            fd,
            y: Some(now.saturating_sub(entered)),
            ticks: now,
            ..Rec::default()
        };
        self.put(self.rings, place, rec, &[], now);
    }
}
