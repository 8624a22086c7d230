//! When the kernel looked at what was ready, as far as its switch records tell. Step: **model**.
//!
//! A wait's return is stamped some time after that. It is no time at all unless the thread was off its CPU in between: what
//! became ready meanwhile is not in the batch, and was ready before the stamp all the same.

/// A thread's last wait and its CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Looked {
    /// It is off its CPU: whether that was taken from it.
    pub preempted: Option<bool>,
    /// Since the wait was entered: its last return from a sleep, after which the kernel looks again; 0 if it was only off its
    /// CPU, before or after the kernel looked.
    pub back: Option<u64>,
}

impl Looked {
    pub fn enters(&mut self) {
        self.back = None;
    }

    pub fn out(&mut self, preempted: bool) {
        self.preempted = Some(preempted);
    }

    pub fn comes_back(&mut self, t: u64) {
        self.back = match self.preempted.take() {
            Some(false) => Some(t),
            _ => self.back.or(Some(0)),
        };
    }

    /// Records are missing: nobody knows why it is off its CPU.
    pub fn lost(&mut self) {
        self.preempted = None;
    }

    /// The earliest instant at which the kernel may have looked for a wait from `entered` to `exit`.
    pub fn since(&self, entered: u64, exit: u64) -> u64 {
        self.back.map_or(exit, |back| back.max(entered).min(exit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_looks_after_the_last_sleep() {
        let mut looked = Looked::default();
        looked.enters();
        assert_eq!(looked.since(10, 100), 100);
        looked.out(true);
        looked.comes_back(20);
        assert_eq!(looked.since(10, 100), 10, "before or after that");
        looked.out(false);
        looked.comes_back(50);
        looked.out(true);
        looked.comes_back(90);
        assert_eq!(looked.since(10, 100), 50);
        looked.out(false);
        looked.lost();
        looked.comes_back(95);
        assert_eq!(looked.since(10, 100), 50, "it may have been preempted");
        assert_eq!(looked.since(60, 100), 60);
        looked.enters();
        assert_eq!(looked.since(100, 200), 200);
    }
}
