// Reads Vitest's JSON report and prints "N passed, N failed"; exits 1 unless at least one test passed and none failed.
import { readFileSync } from 'node:fs'

const [reportFile, outcome] = process.argv.slice(2)
let passed = 0
let failed = 0
try {
  const report = JSON.parse(readFileSync(reportFile, 'utf8'))
  passed = report.numPassedTests
  failed = report.numFailedTests
  // A file that does not load has no tests that could fail.
  failed += report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed'),
  ).length
} catch (error) {
  console.error(`No report of the tests: ${error.message}`)
}
// Errors outside of tests, and runs that found no test, end Vitest without a failed test.
if (failed === 0 && (outcome !== '0' || passed === 0)) failed = 1
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
