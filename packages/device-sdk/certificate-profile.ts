/** AST_DEVICE certifies the device key; SIGNATURE and TLS_CLIENT a key of their own. */
export type CertificateProfile = 'AST_DEVICE' | 'SIGNATURE' | 'TLS_CLIENT'
