//! The findings as paragraphs: title and code, what happened, the cure, where to look. Step: model → **view**.

use super::Options;
use super::page::Page;
use crate::findings::Outcome;
use crate::report::findings::paragraphs;
use crate::report::words::grouped;

impl Page {
    /// Each finding with its sentence, cure and evidence; that there is none is said, too.
    pub(super) fn findings(&mut self, outcome: &Outcome, options: &Options<'_>) {
        if outcome.found.is_empty() {
            self.line(&format!(
                "findings   none of the {} that were looked for",
                outcome.checked.len()
            ));
        }
        for found in outcome.found.iter().take(options.top) {
            let [heading, says, cure, look] = paragraphs(found, options.file);
            self.line("");
            self.wrapped("", &heading);
            self.wrapped("  ", &says);
            self.wrapped("  ", &cure);
            self.line(&format!("  {look}"));
        }
        let more = outcome.found.len().saturating_sub(options.top) as u64 + outcome.omitted;
        if more > 0 {
            self.line(&format!(
                "  and {} more findings; --top N for more",
                grouped(more)
            ));
        }
        for changed in &outcome.changed {
            self.line(&format!("           threshold {changed}"));
        }
    }
}
