//! Circles in words.

use std::fmt::Write as _;
use std::path::Path;

use crate::circles::Circle;

/// How many lines are shown of one step. More of them say the same.
const LINES_PER_STEP_MAX: usize = 6;

/// A circle in lines: each step with the places in the code that make it. Files are named as below `base`.
pub fn describe(circle: &Circle, base: &Path) -> String {
    let short = |file: &Path| file.strip_prefix(base).unwrap_or(file).display().to_string();
    let (level, steps, modules) = (short(&circle.level), circle.steps.len(), circle.modules);
    let mut text = format!("{level}: a circle of {steps}, {modules} modules are tied\n");
    for step in &circle.steps {
        for one in step.iter().take(LINES_PER_STEP_MAX) {
            let (file, target) = (short(&one.file), short(&one.defined_in));
            let _ = writeln!(text, "  {file}:{} uses {} of {target}", one.line, one.path);
        }
        if step.len() > LINES_PER_STEP_MAX {
            let _ = writeln!(text, "  and {} lines more", step.len() - LINES_PER_STEP_MAX);
        }
        text.push_str("  --\n");
    }
    text
}
