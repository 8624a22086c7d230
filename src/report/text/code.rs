//! The report's functions: which ran, and who waited meanwhile. Step: model → **view**.

use super::page::{Page, WIDTH};
use crate::report::code::{Code, Function};
use crate::report::words::{grouped, percent, short};
use crate::text::visible;
use crate::when::Duration;

/// Callers told of.
const CALLERS: usize = 4;

impl Page {
    pub(super) fn code(&mut self, code: &Code, top: usize) {
        self.line("");
        self.line("which code ran, and who waited meanwhile (each event by itself, at most)");
        self.line("");
        self.line("     waited            on CPU  with its calls  function");
        let (waited, cpu) = (code.total.waiting_ns.1, code.total.cpu_ns);
        let own = |f: &&Function| f.own.samples > 0 || f.own.asleep_ns > 0;
        for function in code.functions.iter().filter(own).take(top) {
            let share = match waited {
                0 => percent(function.own.cpu_ns as f64 / cpu.max(1) as f64),
                all => percent(function.own.waiting_ns.1 as f64 / all as f64),
            };
            let file = function.file.rsplit('/').next().unwrap_or_default();
            let mut name = match file {
                "" => visible(&function.name).into_owned(),
                file => format!("{} ({})", visible(&function.name), visible(file)),
            };
            if function.own.asleep_ns > 0 {
                name = format!("{name}, asleep {}", Duration(function.own.asleep_ns));
            }
            self.line(&format!(
                "  {:>9}  {share:>6}  {:>8}  {:>14}  {}",
                Duration(function.own.waiting_ns.1).to_string(),
                Duration(function.own.cpu_ns).to_string(),
                Duration(function.all.cpu_ns).to_string(),
                short(&name, WIDTH - 46)
            ));
            let callers = function.callers.iter().take(CALLERS);
            let callers: Vec<_> = callers.map(|name| visible(name)).collect();
            if !callers.is_empty() {
                let told = format!("called by {}", callers.join(", "));
                self.line(&format!("{:46}{}", "", short(&told, WIDTH - 46)));
            }
        }
        let lost = match code.lost {
            0 => String::new(),
            lost => format!(", {} lost", grouped(lost)),
        };
        self.line(&format!(
            "  {} samples{lost}, {} on the CPU, of these {} inside of the kernel{}",
            grouped(code.total.samples),
            Duration(cpu),
            Duration(code.total.kernel_ns),
            match code.total.asleep_ns {
                0 => String::new(),
                ns => format!("; asleep {}", Duration(ns)),
            }
        ));
    }
}
