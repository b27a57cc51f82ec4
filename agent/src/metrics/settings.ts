/** Where and to whom metrics are served. */
export interface MetricsSettings {
  /** Without a host: all addresses of the machine. Port 0 is any that is free. */
  readonly listen: { readonly host: string | undefined; readonly port: number }
  /** PEM files: both or none. */
  readonly tlsCert: string | undefined
  readonly tlsKey: string | undefined
  /** A file with `user:password` a line; undefined where everybody may read. */
  readonly users: string | undefined
}
