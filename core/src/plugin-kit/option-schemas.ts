type More = Readonly<Record<string, unknown>>

/** Parts of the schema of a plugin's options. `more`: further keywords, as {@link OptionsSchema} has them. */
export const option = {
  text: (description: string, more: More = {}) => ({ type: 'string', description, ...more }),

  /** Never printed. */
  secret: (description: string) => ({ type: 'string', description, writeOnly: true }),

  flag: (description: string) => ({ type: 'boolean', description }),

  /** From 0. */
  count: (description: string, more: More = {}) => ({ type: 'integer', minimum: 0, description, ...more }),

  /** What `durationMs` reads. `example`: a text that the description gives; `mayBeEmpty`: for the default. */
  duration: (description: string, { example = '30ms', mayBeEmpty = false } = {}) => ({
    type: ['string', 'integer'],
    pattern: mayBeEmpty ? `^(?:${DURATION}|)$` : `^${DURATION}$`,
    minimum: 0,
    description: `${description}; such as ${example}, 1.5s, 5m; a bare number counts nanoseconds`,
  }),

  /** `maxObjSizeGB`, as `maxObjectBytesOf` reads it. `standardGib`: its default. */
  maxObjectGib: (standardGib: number, more: More = {}) => ({
    type: 'number',
    minimum: 0,
    ...more,
    description: `size in GiB above which objects are split; values under 1 are ignored; default ${standardGib}`,
  }),

  /** A section, in which unknown keys are refused. */
  block: (properties: Readonly<Record<string, object>>, more: More = {}) => ({
    type: 'object',
    additionalProperties: false,
    properties,
    ...more,
  }),
}

const DURATION = '(?:\\d+(?:\\.\\d+)?(?:ns|us|µs|ms|s|m|h))+'
