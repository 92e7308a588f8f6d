// Command kstatus reads JSON objects from standard input, one after another or
// in arrays, and prints one JSON line for each: the status that generic
// Kubernetes tooling computes for it, and its message.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	buffered := bufio.NewWriter(out)
	encoder := json.NewEncoder(buffered)
	decoder := json.NewDecoder(in)
	for {
		var document any
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return buffered.Flush()
		} else if err != nil {
			return fmt.Errorf("reading JSON: %w", err)
		}
		documents, isArray := document.([]any)
		if !isArray {
			documents = []any{document}
		}
		for _, one := range documents {
			judged, err := judge(one)
			if err != nil {
				return err
			}
			if err := encoder.Encode(judged); err != nil {
				return err
			}
		}
	}
}

func judge(document any) (verdict, error) {
	fields, isObject := document.(map[string]any)
	if !isObject {
		return verdict{}, fmt.Errorf("expected a JSON object, got %T", document)
	}
	integers(fields)
	result, err := status.Compute(&unstructured.Unstructured{Object: fields})
	if err != nil {
		return verdict{}, fmt.Errorf("computing the status: %w", err)
	}
	return verdict{Status: result.Status.String(), Message: result.Message}, nil
}

// integers turns whole numbers into int64 in place: kstatus reads fields such
// as observedGeneration with typed getters, and encoding/json decodes every
// number as float64.
func integers(value any) any {
	switch typed := value.(type) {
	case map[string]any:
		for key, inner := range typed {
			typed[key] = integers(inner)
		}
	case []any:
		for index, inner := range typed {
			typed[index] = integers(inner)
		}
	case float64:
		if whole := int64(typed); float64(whole) == typed {
			return whole
		}
	}
	return value
}
