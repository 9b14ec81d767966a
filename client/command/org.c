/* SPDX-License-Identifier: MIT */
/* Organisations and the ecosystem: asked for, and in one line as they are published. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/command/print.h"
#include "client/command/text.h"

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RESET "\033[0m"
#define RELATIONS "finetune, adapter, quantized, merge or download"

static void label(const BgContext *context, const char *text)
{
        printf("%s%-12s%s ", bg_print_color(context->color_out, DIM), text, bg_print_color(context->color_out, RESET));
}

static void print_relation(int relation)
{
        if (relation)
                printf(" (%s)", bg_proto_relation_name(relation));
}

/* ---- one line -------------------------------------------------------------------------------------------------------------- */

void bg_print_org(const BgContext *context, const BgOrg *org)
{
        char when[BG_TEXT_MAX], children[BG_TEXT_MAX], models[BG_TEXT_MAX], month[BG_TEXT_MAX];
        bool color = context->color_out;

        printf("%s%s%s  %s%.*s%s", bg_print_color(color, DIM), bg_text_minute(when, org->as_of), bg_print_color(color, RESET),
               bg_print_color(color, BOLD), (int)org->org.len, org->org.data, bg_print_color(color, RESET));
        print_relation(org->relation);
        printf("  %s of %s models, +%s in 30 days", bg_text_count(children, (double)org->children), bg_text_count(models, (double)org->models),
               bg_text_count(month, (double)org->new_30d));
        if (isfinite(org->share))
                printf(", %.2g %% of all", 100 * org->share);
        if (org->surges)
                printf(", %s%lld surging%s", bg_print_color(color, "\033[1;35m"), (long long)org->surges, bg_print_color(color, RESET));
        putchar('\n');
}

void bg_print_ecosystem(const BgContext *context, const BgEcosystem *all)
{
        char when[BG_TEXT_MAX], children[BG_TEXT_MAX], models[BG_TEXT_MAX], orgs[BG_TEXT_MAX], month[BG_TEXT_MAX];
        bool color = context->color_out;

        printf("%s%s%s  %secosystem%s", bg_print_color(color, DIM), bg_text_minute(when, all->as_of), bg_print_color(color, RESET),
               bg_print_color(color, BOLD), bg_print_color(color, RESET));
        print_relation(all->relation);
        printf("  %s of %s models in %s organisations, +%s in 30 days, Gini %.3f", bg_text_count(children, (double)all->children),
               bg_text_count(models, (double)all->models), bg_text_count(orgs, (double)all->orgs), bg_text_count(month, (double)all->new_30d),
               all->gini);
        if (isfinite(all->share_80))
                printf(", %.2g %% of the models have 80 %%", 100 * all->share_80);
        if (all->surges)
                printf(", %lld surging", (long long)all->surges);
        putchar('\n');
}

/* ---- at length ------------------------------------------------------------------------------------------------------------- */

static void print_spread(const char *name, const BgSpread *spread, const char *format)
{
        const double values[] = { spread->q10, spread->q25, spread->q50, spread->q75, spread->q90, spread->mean };
        char text[BG_TEXT_MAX];

        printf("  %-26s", name);
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
                if (format)
                        snprintf(text, sizeof(text), format, values[i]);
                else
                        bg_text_count(text, values[i]);
                printf(" %10s", text);
        }
        putchar('\n');
}

static void print_spread_head(const BgContext *context, const char *text)
{
        printf("\n%s%-28s %10s %10s %10s %10s %10s %10s%s\n", bg_print_color(context->color_out, DIM), text, "10 %", "25 %", "median", "75 %",
               "90 %", "mean", bg_print_color(context->color_out, RESET));
}

static void print_fits(const BgContext *context, const BgFits *fits, const char *what)
{
        char head[64], n[BG_TEXT_MAX];

        if (!fits || !fits->n || !fits->lambda || !fits->mu || !fits->sigma)
                return;
        snprintf(head, sizeof(head), "%s: %s", what, bg_text_count(n, (double)fits->n));
        print_spread_head(context, head);
        print_spread("fitness lambda", fits->lambda, "%.3g");
        print_spread("immediacy mu, ln days", fits->mu, "%.3g");
        print_spread("longevity sigma", fits->sigma, "%.3g");
}

static void print_ages(const BgContext *context, const BgAged *ages, size_t n)
{
        char name[96], count[BG_TEXT_MAX];

        print_spread_head(context, "counts after release");
        for (size_t i = 0; i < n; i++) {
                const BgExpected *e = ages[i].expected;
                int months = (int)lround(ages[i].days / 30.4375);

                if (ages[i].count) {
                        snprintf(name, sizeof(name), "%d months, %s models", months, bg_text_count(count, (double)ages[i].n));
                        print_spread(name, ages[i].count, NULL);
                }
                if (e) {
                        if (ages[i].count)
                                snprintf(name, sizeof(name), "   a new one expects");
                        else
                                snprintf(name, sizeof(name), "%d months: a new one", months);
                        print_spread(name, &(BgSpread){ .mean = e->mean, .q10 = e->q10, .q25 = e->q25, .q50 = e->q50, .q75 = e->q75, .q90 = e->q90 },
                                     NULL);
                }
        }
        for (size_t i = n; i-- > 0;)
                if (ages[i].expected) {
                        printf("%sWhat a new model expects is %.0f %% its organisation's own and %.0f %% all organisations' record (at %.0f months).%s\n",
                               bg_print_color(context->color_out, DIM), 100 * ages[i].weight, 100 * (1 - ages[i].weight),
                               ages[i].days / 30.4375, bg_print_color(context->color_out, RESET));
                        break;
                }
}

static void print_org_whole(const BgContext *context, const BgOrg *org)
{
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX], c[BG_TEXT_MAX];

        printf("%s%.*s%s", bg_print_color(context->color_out, BOLD), (int)org->org.len, org->org.data, bg_print_color(context->color_out, RESET));
        printf("  %s  as of %s\n", bg_proto_relation_name(org->relation), bg_text_minute(a, org->as_of));
        label(context, "models");
        printf("%s, of which %s have children\n", bg_text_count(a, (double)org->models), bg_text_count(b, (double)org->with_children));
        label(context, "children");
        printf("%s, +%s in 30 days", bg_text_count(a, (double)org->children), bg_text_count(b, (double)org->new_30d));
        if (isfinite(org->share))
                printf("; %.3g %% of all", 100 * org->share);
        putchar('\n');
        if (org->largest.len) {
                label(context, "largest");
                printf("%.*s with %s\n", (int)org->largest.len, org->largest.data, bg_text_count(c, (double)org->largest_count));
        }
        label(context, "surges");
        printf("%lld open\n", (long long)org->surges);
        print_ages(context, org->ages.items, org->ages.n);
        print_fits(context, org->ok, "models with a good fit");
        print_fits(context, org->weak, "models with a weak fit");
}

static void print_shares(const BgContext *context, const BgOrgShare *shares, size_t n, const char *head)
{
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX], c[BG_TEXT_MAX], name[BG_NAME_MAX + 1];

        if (!n)
                return;
        printf("\n%s%-28s %10s %10s %10s %10s%s\n", bg_print_color(context->color_out, DIM), head, "children", "share", "in 30 d", "models",
               bg_print_color(context->color_out, RESET));
        for (size_t i = 0; i < n; i++) {
                snprintf(name, sizeof(name), "%.*s", (int)shares[i].org.len, shares[i].org.data);
                printf("  %-26s %10s %8.3g %% %10s %10s\n", name, bg_text_count(a, (double)shares[i].children), 100 * shares[i].share,
                       bg_text_count(b, (double)shares[i].new_30d), bg_text_count(c, (double)shares[i].models));
        }
}

static void print_histogram(const BgContext *context, const BgHistogram *histogram, const char *name)
{
        int64_t bars[64];
        char spark[BG_TEXT_SPARK_BYTES(64)];
        size_t n = histogram ? histogram->counts.n : 0;

        if (!n || n > 64 || histogram->edges.n != n + 1)
                return;
        memcpy(bars, histogram->counts.items, n * sizeof(*bars));
        bg_text_spark(spark, bars, n, n);
        printf("  %-8s %9.3g %s%s%s %.3g\n", name, histogram->edges.items[0], bg_print_color(context->color_out, "\033[36m"), spark,
               bg_print_color(context->color_out, RESET), histogram->edges.items[n]);
}

static void print_correlation(const char *name, double r)
{
        if (isfinite(r))
                printf("  %s %+.2f", name, r);
}

static void print_ecosystem_whole(const BgContext *context, const BgEcosystem *all)
{
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX], c[BG_TEXT_MAX];

        printf("%secosystem%s  %s  as of %s\n", bg_print_color(context->color_out, BOLD), bg_print_color(context->color_out, RESET),
               bg_proto_relation_name(all->relation), bg_text_minute(a, all->as_of));
        label(context, "models");
        printf("%s in %s organisations, of which %s have children\n", bg_text_count(a, (double)all->models), bg_text_count(b, (double)all->orgs),
               bg_text_count(c, (double)all->with_children));
        label(context, "children");
        printf("%s, +%s in 30 days\n", bg_text_count(a, (double)all->children), bg_text_count(b, (double)all->new_30d));
        if (isfinite(all->share_80)) {
                label(context, "concentrated");
                printf("%s models, %.3g %% of them, have 80 %% of the children; Gini %.3f\n", bg_text_count(a, (double)all->n_80),
                       100 * all->share_80, all->gini);
        }
        label(context, "surges");
        printf("%lld open\n", (long long)all->surges);
        print_shares(context, all->top.items, all->top.n, "most children");
        print_shares(context, all->growing.items, all->growing.n, "most in the last 30 days");
        print_ages(context, all->ages.items, all->ages.n);
        print_fits(context, all->ok, "models with a good fit");
        print_histogram(context, all->lambda, "lambda");
        print_histogram(context, all->mu, "mu");
        print_histogram(context, all->sigma, "sigma");
        if (isfinite(all->lambda_mu) || isfinite(all->lambda_sigma) || isfinite(all->mu_sigma)) {
                printf("  correlation:");
                print_correlation("ln lambda, mu", all->lambda_mu);
                print_correlation("ln lambda, ln sigma", all->lambda_sigma);
                print_correlation("mu, ln sigma", all->mu_sigma);
                putchar('\n');
        }
        print_fits(context, all->weak, "models with a weak fit");
}

static void print_orgs_table(const BgContext *context, const BgOrg *orgs, size_t n, int64_t first)
{
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX], c[BG_TEXT_MAX], half[3][BG_TEXT_MAX], expected[2 * BG_TEXT_MAX + 4], name[BG_NAME_MAX + 1];
        int longest = 12;

        for (size_t i = 0; i < n; i++)
                longest = (int)orgs[i].org.len > longest ? (int)orgs[i].org.len : longest;
        longest = longest > 40 && context->color_out ? 40 : longest;
        printf("%s%4s  %-*s %10s %8s %8s %8s %8s  %-24s%s\n", bg_print_color(context->color_out, DIM), "#", longest, "organisation", "children",
               "share", "in 30 d", "models", "with", "a new one at 6 months", bg_print_color(context->color_out, RESET));
        for (size_t i = 0; i < n; i++) {
                const BgOrg *org = &orgs[i];
                const BgExpected *e = org->ages.n > 1 ? org->ages.items[1].expected : NULL;
                char share[BG_TEXT_MAX] = "-";

                expected[0] = '\0';
                if (e)
                        snprintf(expected, sizeof(expected), "%s [%s - %s]", bg_text_short(half[0], e->q50), bg_text_short(half[1], e->q10),
                                 bg_text_short(half[2], e->q90));
                if (isfinite(org->share))
                        snprintf(share, sizeof(share), "%.3g %%", 100 * org->share);
                bg_text_name(name, sizeof(name), org->org, (size_t)longest);
                printf("%4lld  %s%-*s%s %10s %8s %8s %8s %8lld  %-24s%s%s%s\n", (long long)(first + (int64_t)i), bg_print_color(context->color_out, BOLD),
                       longest, name, bg_print_color(context->color_out, RESET), bg_text_count(a, (double)org->children), share,
                       bg_text_count(b, (double)org->new_30d), bg_text_count(c, (double)org->models), (long long)org->with_children, expected,
                       bg_print_color(context->color_out && org->surges, "\033[1;35m"), org->surges ? "surging" : "",
                       bg_print_color(context->color_out && org->surges, RESET));
        }
}

/* ---- commands -------------------------------------------------------------------------------------------------------------- */

static int find_relation(const BgContext *context, const BgCommand *command, const char *word, BgRequest *request)
{
        int value;

        if (bg_proto_relation_find(&value, bg_str(word)))
                return bg_usage(context, command, "--relation: expected " RELATIONS ", got '%s'", word);
        request->relation = value;
        return BG_OPTIONS_RUN;
}

static int ask(const BgContext *context, BgQuerier **querierp, const BgRequest *request, const BgReply **replyp)
{
        int r = bg_ask_open(context, querierp);

        return r == BG_OPTIONS_RUN ? bg_ask(context, *querierp, request, replyp) : r;
}

int bg_command_org(BgContext *context, const BgCommand *command, int argc, char **argv)
{
        const char *relation = "finetune";
        const BgOption options[] = {
                { "relation", 'r', BG_OPTION_TEXT, "WORD", &relation, 0, 0, RELATIONS },
                { NULL, 0, 0, NULL, NULL, 0, 0, NULL },
        };
        BG_CLEANUP(bg_querier_freep) BgQuerier *querier = NULL;
        BgRequest request;
        const BgReply *reply;
        char **operands;
        int n_operands, r;

        r = bg_options_parse(context, command, options, argc, argv, &operands, &n_operands);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (n_operands != 1)
                return bg_usage(context, command, n_operands ? "one organisation at a time" : "which organisation? burgeon orgs lists them");
        bg_proto_init(&bg_proto_request, &request);
        request.query = BG_QUERY_ORG;
        if (bg_proto_name_valid(bg_str(operands[0])))
                request.model = bg_str(operands[0]);
        else if (strlen(operands[0]) >= 1 && strlen(operands[0]) <= BG_NAME_MAX)
                request.target = bg_str(operands[0]);
        else
                return bg_usage(context, command, "an organisation's name has 1 to %d characters", BG_NAME_MAX);
        r = find_relation(context, command, relation, &request);
        if (r == BG_OPTIONS_RUN)
                r = ask(context, &querier, &request, &reply);
        if (r != BG_OPTIONS_RUN)
                return r;
        for (size_t i = 0; i < reply->orgs.n; i++) {
                if (context->json && bg_print_json(&bg_proto_org, &reply->orgs.items[i]))
                        return EX_OSERR;
                if (!context->json)
                        print_org_whole(context, &reply->orgs.items[i]);
        }
        return EX_OK;
}

int bg_command_orgs(BgContext *context, const BgCommand *command, int argc, char **argv)
{
        const char *relation = "finetune", *sort = "count", *prefix = NULL;
        int64_t limit = 50, offset = 0;
        const BgOption options[] = {
                { "sort", 's', BG_OPTION_TEXT, "KEY", &sort, 0, 0, "count, growth or name" },
                { "limit", 'n', BG_OPTION_INTEGER, "N", &limit, 1, 10000, "at most so many" },
                { "offset", 0, BG_OPTION_INTEGER, "N", &offset, 0, 1e12, "skip so many" },
                { "prefix", 'p', BG_OPTION_TEXT, "TEXT", &prefix, 0, 0, "only names that begin so" },
                { "relation", 'r', BG_OPTION_TEXT, "WORD", &relation, 0, 0, RELATIONS },
                { NULL, 0, 0, NULL, NULL, 0, 0, NULL },
        };
        BG_CLEANUP(bg_querier_freep) BgQuerier *querier = NULL;
        BgRequest request;
        const BgReply *reply;
        char **operands;
        int n_operands, r, value;

        r = bg_options_parse(context, command, options, argc, argv, &operands, &n_operands);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (n_operands)
                return bg_usage(context, command, "unexpected operand '%s'; did you mean burgeon org %s?", operands[0], operands[0]);
        bg_proto_init(&bg_proto_request, &request);
        request.query = BG_QUERY_ORG;
        request.limit = limit;
        request.offset = offset;
        request.prefix = bg_str(prefix);
        if (request.prefix.len > BG_NAME_MAX)
                return bg_usage(context, command, "--prefix: longer than %d bytes", BG_NAME_MAX);
        if (bg_proto_sort_find(&value, bg_str(sort)) || (value != BG_SORT_COUNT && value != BG_SORT_GROWTH && value != BG_SORT_NAME))
                return bg_usage(context, command, "--sort: expected count, growth or name, got '%s'", sort);
        request.sort = value;
        r = find_relation(context, command, relation, &request);
        if (r == BG_OPTIONS_RUN)
                r = ask(context, &querier, &request, &reply);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (!context->json)
                print_orgs_table(context, reply->orgs.items, reply->orgs.n, offset + 1);
        for (size_t i = 0; context->json && i < reply->orgs.n; i++)
                if (bg_print_json(&bg_proto_org, &reply->orgs.items[i]))
                        return EX_OSERR;
        if (reply->total > offset + (int64_t)reply->orgs.n)
                bg_note(context, "%zu of %lld; --limit and --offset show more", reply->orgs.n, (long long)reply->total);
        return EX_OK;
}

int bg_command_ecosystem(BgContext *context, const BgCommand *command, int argc, char **argv)
{
        const char *relation = "finetune";
        const BgOption options[] = {
                { "relation", 'r', BG_OPTION_TEXT, "WORD", &relation, 0, 0, RELATIONS },
                { NULL, 0, 0, NULL, NULL, 0, 0, NULL },
        };
        BG_CLEANUP(bg_querier_freep) BgQuerier *querier = NULL;
        BgRequest request;
        const BgReply *reply;
        char **operands;
        int n_operands, r;

        r = bg_options_parse(context, command, options, argc, argv, &operands, &n_operands);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (n_operands)
                return bg_usage(context, command, "unexpected operand '%s'", operands[0]);
        bg_proto_init(&bg_proto_request, &request);
        request.query = BG_QUERY_ECOSYSTEM;
        r = find_relation(context, command, relation, &request);
        if (r == BG_OPTIONS_RUN)
                r = ask(context, &querier, &request, &reply);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (!reply->ecosystem) {
                bg_error(context, "the daemon's answer has no ecosystem in it");
                return EX_PROTOCOL;
        }
        if (context->json)
                return bg_print_json(&bg_proto_ecosystem, reply->ecosystem) ? EX_OSERR : EX_OK;
        print_ecosystem_whole(context, reply->ecosystem);
        return EX_OK;
}
