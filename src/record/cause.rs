//! Why events were lost. Step: **event** → ring.

use super::coded::coded;

coded! {
    /// Why events were lost.
    Cause: u16 {
        /// The thread's ring was full.
        RingFull = 1 "ring-full",
        /// No ring was free and the shared overflow ring was full too.
        NoSlot = 2 "no-slot",
        /// Reserved but never committed: the thread was killed inside a push.
        Torn = 3 "torn",
        /// Ring memory held something that is no record.
        Rejected = 4 "rejected",
        /// The recording could not be written (disk full, I/O error).
        Write = 5 "write",
        /// The oldest part was dropped to honour a size limit.
        Dropped = 6 "dropped",
        /// A page of the recording is damaged.
        Damaged = 7 "damaged",
        /// A record kind newer than this version.
        Newer = 8 "newer",
        /// The kernel had no room for what it tells of threads and their CPUs.
        Switches = 9 "switches",
        /// The kernel had no room for samples.
        Samples = 10 "samples",
    }
}
