import { invalidConfig } from '../../config/check.js'
import type { Config } from '../../config/document.js'
import { DRILL_CHECKS_SCHEMA, type DrillCheck, drillFaults } from '../../config/drill-checks.js'
import { schemaFaults } from '../../config/faults.js'

/** Of a configuration as it was stored, where anything may stand. Throws CONFIG_INVALID. */
export function checksOf({ drill }: Pick<Config, 'drill'>): readonly DrillCheck[] {
  const checks = drill?.checks ?? []
  const faults = [...schemaFaults(checks, DRILL_CHECKS_SCHEMA, ['drill', 'checks']), ...drillFaults({ checks })]
  if (faults.length > 0) throw invalidConfig(faults)
  return checks
}
