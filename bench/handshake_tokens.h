/* Tokens of a key made for the run: what it costs to check them is measured, so they are signed before. */
#ifndef HERALD_BENCH_HANDSHAKE_TOKENS_H
#define HERALD_BENCH_HANDSHAKE_TOKENS_H

#include <stdint.h>

struct signer;

/* algorithm: HS256 (the development secret), RS256, ES256 or EdDSA, whose public key is written to key_file. */
struct signer *signer_new(const char *algorithm, const char *key_file);
/* malloc()ed; valid for a day from now. */
char *signer_token(const struct signer *signer, const char *user);
void signer_free(struct signer **signer);

#endif
